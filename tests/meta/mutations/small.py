"""A small organization to edit, and every way in which an edit can turn out."""

from __future__ import annotations

import difflib
import random

from metaloop.files.org_file import OrgFile
from metaloop.meta.mutations.operator import Ground, Mutated, Mutation
from tests.mutated import GROUPS, LIBRARY, MUTATIONS, SHIPPED, organization

SMALL = """\
---
name: small
description: A pair, somebody who looks at what they do, and a merger.
members:
  - role: local-proposer
    count: 2   # a pair
  - role: dedup-reviewer
  - role: greedy-merger
---
# Small
"""


def small(changes: dict[str, str] | None = None, text: str = SMALL) -> OrgFile:
    """The small organization with lines replaced; each must be there."""
    for old, new in (changes or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    return organization(text)


def named(name: str) -> Mutation:
    return next(mutation for mutation in MUTATIONS if mutation.name == name)


def ground(*roles: str, population: tuple[str, ...] = ()) -> Ground:
    """A library of these roles only, and these shipped organizations."""
    return Ground({role: LIBRARY[role] for role in roles}, GROUPS, tuple(SHIPPED[name] for name in population))


def outcomes(name: str, parent: OrgFile, on: Ground | None = None, draws: int = 60) -> dict[str, Mutated]:
    """What a mutation can make of the parent, by how it tells it: as many draws as leave hardly any out."""
    made = [named(name).apply(parent, on or ground(), random.Random(seed)) for seed in range(draws)]
    return {child.change: child for child in made if child is not None}


def diff(parent: OrgFile, child: Mutated) -> list[str]:
    """The lines of ORG.md that differ, as ``git diff`` shows them."""
    old, new = parent.document.text.splitlines(), child.organization.document.text.splitlines()
    return [line for line in difflib.unified_diff(old, new, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")]
