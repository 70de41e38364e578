"""Credit of each member: the organization without it. What it loses is what the member is worth to the others.

Leave-one-out is not Shapley's share: of two members that can stand in for each other neither is missed, and the credits
need not add up to the gain.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaloop.files.org_record import OrgFile
from metaloop.meta.evidence.changes import entry_labels, same_organization
from metaloop.meta.evidence.variant import Variant, changed_lines, differing, slug
from metaloop.meta.mutations.describe import describe, who
from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.members import NEEDED


class Indispensable(msgspec.Struct, frozen=True):
    """An entry of members that the organization cannot be without, and why."""

    member: str
    reason: str


def without_each_member(child: OrgFile, known: Sequence[Variant] = ()) -> tuple[Variant, ...]:
    """The organization without each entry of its members, where it can be without; see :func:`indispensable`.

    Of an entry that cannot go, but counts several, one member stays. What the members left do not bear goes too (a
    quorum above the reviewers, stand-ups without a director), and ``along`` says so. A variant that is one of the
    ``known`` ones (an ablation of a member that was added) bears its name, so that it is run once.
    """
    variants: list[Variant] = []
    for index in range(len(child.members)):
        variant = _without(child, index, [*known, *variants])
        if variant is not None:
            variants.append(variant)
    return tuple(variants)


def indispensable(child: OrgFile) -> tuple[Indispensable, ...]:
    """The entries that hold the last members of a kind that every organization needs."""
    labels = entry_labels(child)
    return tuple(
        Indispensable(labels[index], f"it holds the last {child.kind(entry)}; no organization is without one")
        for index, entry in enumerate(child.members)
        if _alone(child, index)
    )


def _alone(child: OrgFile, index: int) -> bool:
    kind = child.kind(child.members[index])
    return kind in NEEDED and sum(child.kind(entry) == kind for entry in child.members) == 1


def _without(child: OrgFile, index: int, known: Sequence[Variant]) -> Variant | None:
    draft, entry, label = Draft.of(child), child.members[index], entry_labels(child)[index]
    if not _alone(child, index):
        draft, change = draft.take_out(index), who(entry)
    elif entry.count > 1:
        draft, change = draft.put(("members", index, "count"), 1), f"{entry.count - 1} of {entry.count} {label}"
    else:
        return None
    organization = draft.finish()
    others = [(child.name, child), *((variant.name, variant.organization) for variant in known)]
    same_as = next((name for name, other in others if same_organization(other, organization)), None)
    return Variant(
        name=same_as or slug("without", label, {name for name, _ in others}),
        organization=organization,
        change=change,
        along=_along(child, organization, draft),
        lines=changed_lines(organization, child),
        diff=differing(organization, child),
    )


def _along(child: OrgFile, organization: OrgFile, draft: Draft) -> str:
    """What had to change beside the members: the settings and links that :func:`describe` finds."""
    said = describe(child, organization, draft.origin).split("; ")
    return "; ".join(part for part in said if not part.startswith("members: ") and ".count " not in part)
