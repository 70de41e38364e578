"""Ablation of every change between an evolved organization and its ancestor: which lines earn the gain.

Leave-one-out at the child's end of the lineage: each change is taken back alone while all others stay. Where changes
depend on each other the effects do not add up to the whole gain, and two changes that can stand in for each other show
no effect either way; Fawcett and Hoos, "Analysing differences between algorithm configurations through ablation",
Journal of Heuristics 22 (2016), take a greedy path instead, at the price of quadratically many organizations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from metaloop.files.org_record import OrgFile
from metaloop.files.org_space import ORG_SPACE
from metaloop.meta.evidence.changes import Change, changes, same_organization, take_back
from metaloop.meta.evidence.variant import Variant, changed_lines, differing, slug
from metaloop.vocabulary.errors import FileError

MOST_COMPANIONS = 3
"""Changes that one change is tried to be taken back with, before all structural ones are: no chain of needs in the
format is longer (sharing at stand-ups needs stand-ups, these a director)."""


def ablations(parent: OrgFile, child: OrgFile) -> tuple[Variant, ...]:
    """The child with one change taken back, for every change since the ancestor, in the order of :func:`changes`.

    A change that cannot be taken back alone, since the result would not be valid, goes with the fewest others that it
    needs, which ``along`` names; changes that need each other give one variant.

    Raises:
        ValueError: both have one name, so that their org runs could not be told apart.
    """
    if parent.name == child.name:
        raise ValueError(f"ancestor and descendant are both called {child.name!r}: write the descendant out first")
    units = changes(parent, child)
    variants: list[Variant] = []
    seen: set[frozenset[int]] = set()
    for number in range(len(units)):
        taken, organization = _without(parent, child, units, number)
        if frozenset(taken) not in seen:
            seen.add(frozenset(taken))
            variants.append(_variant(parent, child, [units[i] for i in taken], organization, variants))
    return tuple(variants)


def _without(parent: OrgFile, child: OrgFile, units: Sequence[Change], number: int) -> tuple[tuple[int, ...], OrgFile]:
    """The unit with the fewest others whose undoing is valid, and the organization without them."""
    for taken in _candidates(units, number):
        organization = undone(parent, child, [units[i] for i in taken])
        if organization is not None:
            return taken, organization
    return (number, *(i for i in range(len(units)) if i != number)), parent


def _candidates(units: Sequence[Change], number: int) -> Iterator[tuple[int, ...]]:
    others = [i for i, unit in enumerate(units) if unit.structural and i != number]
    for size in range(min(MOST_COMPANIONS, len(others)) + 1):
        for companions in combinations(others, size):
            yield (number, *companions)
    yield (number, *others)


def undone(parent: OrgFile, child: OrgFile, taken: Sequence[Change]) -> OrgFile | None:
    """The child without these changes; ``None`` where that would not be valid as it stands, or cannot be edited."""
    try:
        draft = take_back(parent, child, taken)
        if draft.names_clash():
            return None
        organization = draft.finish()
    except FileError:
        return None
    # `finish` brings settings down that the members do not bear; then it is not these changes that were undone.
    kept = all(organization.settings[knob.name] == draft.setting(knob.name) for knob in ORG_SPACE)
    return organization if kept else None


def _variant(
    parent: OrgFile, child: OrgFile, taken: Sequence[Change], organization: OrgFile, made: Sequence[Variant]
) -> Variant:
    first, *others = taken
    known = [(child.name, child), (parent.name, parent), *((variant.name, variant.organization) for variant in made)]
    same_as = next((name for name, other in known if same_organization(other, organization)), None)
    return Variant(
        name=same_as or slug("undo", first.subject, {name for name, _ in known}),
        organization=organization,
        change=first.label,
        along="; ".join(unit.label for unit in others),
        lines=changed_lines(organization, child),
        diff=differing(organization, child),
    )
