"""The null mutation: no change at all. Always in the population, as the control of every other mutation.

What it gains over its parent is luck, so the others' gains are judged beside it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from metaloop.files.org_record import OrgFile
from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.operator import Ground, Mutated

NULL = "null"


@dataclass(frozen=True)
class Null:
    """The parent again; only ``control: true`` is not inherited."""

    name: str = NULL

    def apply(self, parent: OrgFile, ground: Ground, rng: random.Random) -> Mutated:  # noqa: ARG002
        return Mutated(Draft.of(parent).finish(), self.name, "nothing changed")
