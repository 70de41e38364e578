"""What the journals of an organization say against its roles: what was discarded, falsely merged, starved.

Evidence is what a rewriting of a role's prose starts from. It is counted per role, since prose belongs to a role and
not to a member; each count comes with its most telling examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from metaloop.meta.results import ConfirmedMerge
from metaloop.meta.waiting import waiting
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import canonical

MOST_EXAMPLES = 3
"""Examples of each sort: enough to see a pattern, few enough to be read."""


class RoleEvidence(msgspec.Struct, frozen=True):
    """What speaks against a role over all org runs looked at.

    ``discarded`` counts proposals of the role that a merger discarded; ``falsely_merged`` merges, proposed or decided
    by the role, that confirmation does not bear out; ``starved_s`` the device-seconds that idled waiting for it.
    """

    discarded: int
    falsely_merged: int
    starved_s: float
    examples: tuple[str, ...]


Evidence = Mapping[str, RoleEvidence]
"""Role to what speaks against it; roles that nothing speaks against are absent."""

OrgRunRecord = tuple[Sequence[ev.Event], Sequence[ConfirmedMerge]]
"""The journal of one org run, and its merges as confirmed (:func:`metaloop.meta.confirmed.confirm_merges`)."""


@dataclass
class _Case:
    """What was found against a role so far: each finding with how much it weighs among its sort."""

    discarded: list[tuple[float, str]] = field(default_factory=list)
    falsely_merged: list[tuple[float, str]] = field(default_factory=list)
    starved: list[tuple[float, str]] = field(default_factory=list)


def gather(organization: Organization, runs: Iterable[OrgRunRecord]) -> Evidence:
    """The evidence of an organization's org runs, by role."""
    role_of = {member.name: member.role for member in organization.members}
    cases: dict[str, _Case] = {}
    for events, merges in runs:
        for sort, member, weight, example in _findings(events, merges):
            if member in role_of:
                getattr(cases.setdefault(role_of[member], _Case()), sort).append((weight, example))
    return {role: _sum(cases[role]) for role in sorted(cases)}


def _findings(events: Sequence[ev.Event], merges: Sequence[ConfirmedMerge]) -> Iterator[tuple[str, str, float, str]]:
    """Sort, member, weight and example of everything found."""
    proposals = {event.proposal.id: event.proposal for event in events if isinstance(event, ev.Proposed)}
    for event in events:
        if isinstance(event, ev.Judged) and event.verdict == "discard" and event.proposal in proposals:
            proposal = proposals[event.proposal]
            example = f"discarded {canonical(proposal.changes)} ({proposal.hypothesis}): {event.reason}"
            yield "discarded", proposal.author, event.delta or 0.0, example
    for merge in merges:
        if merge.false_merge and merge.confirmed_delta is not None:
            found = f"{merge.confirmed_delta:+.4f} bpb over {merge.pairs} pairs"
            example = f"falsely merged {canonical(merge.changes)}: confirmation found {found}"
            for member in dict.fromkeys((merge.author, merge.actor)):
                yield "falsely_merged", member, merge.confirmed_delta, example
    for wait in waiting(events):
        if wait.who:
            yield "starved", wait.who, wait.seconds, f"devices idled {wait.seconds:.1f} s for its {wait.cause}"


def _sum(case: _Case) -> RoleEvidence:
    sorts = (case.discarded, case.falsely_merged, case.starved)
    examples = [text for found in sorts for _, text in sorted(found, reverse=True)[:MOST_EXAMPLES]]
    starved = sum(seconds for seconds, _ in case.starved)
    return RoleEvidence(len(case.discarded), len(case.falsely_merged), starved, tuple(examples))
