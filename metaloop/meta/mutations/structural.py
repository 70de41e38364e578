"""Structural mutations: an edit of a draft, made whole, checked by the ordinary reader, and described."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from metaloop.files.markdown_edit import same
from metaloop.files.org_record import OrgFile
from metaloop.meta.mutations.describe import describe
from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.focusing import change_focus
from metaloop.meta.mutations.members import add_role, duplicate_role, remove_role, swap_role
from metaloop.meta.mutations.operator import Ground, Mutated
from metaloop.meta.mutations.specialists import split_generalist, unite_specialists
from metaloop.meta.mutations.working import (
    change_branching,
    change_quorum,
    change_sharing,
    change_standups,
    rewire_links,
)
from metaloop.vocabulary.organization import Organization

Edit = Callable[[Draft, Ground, random.Random], Draft | None]
"""A draft and what it may draw from: the draft edited, or ``None`` where there is nothing to edit."""


@dataclass(frozen=True)
class Structural:
    """A mutation made of one edit."""

    name: str
    edit: Edit

    def apply(self, parent: OrgFile, ground: Ground, rng: random.Random) -> Mutated | None:
        draft = self.edit(Draft.of(parent), ground, rng)
        if draft is None or draft.names_clash() or same(draft.document.data, parent.document.data):
            return None
        child = draft.finish()
        if _effect(child) == _effect(parent):
            return None
        return Mutated(child, self.name, describe(parent, child, draft.origin))


def _effect(organization: OrgFile) -> Organization:
    """What is run, whatever it is called and however it is written: a policy's default may be spelled out."""
    return msgspec.structs.replace(organization.to_organization(), digest="", control=False)


STRUCTURAL = (
    Structural("add role", add_role),
    Structural("remove role", remove_role),
    Structural("duplicate role", duplicate_role),
    Structural("swap role", swap_role),
    Structural("rewire links", rewire_links),
    Structural("change sharing", change_sharing),
    Structural("change stand-ups", change_standups),
    Structural("change quorum", change_quorum),
    Structural("change branching", change_branching),
    Structural("change focus", change_focus),
    Structural("split generalist", split_generalist),
    Structural("unite specialists", unite_specialists),
)
"""Changes of who is a member and how members work together."""
