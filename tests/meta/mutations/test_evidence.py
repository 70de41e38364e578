"""What journals say against roles: discarded proposals, false merges, starved devices."""

from __future__ import annotations

import pytest

from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster import Cluster, Thinking
from metaloop.execution.simulator.run import SimulatedRun, simulate_org
from metaloop.meta.mutations.evidence import MOST_EXAMPLES, gather
from metaloop.meta.results import ConfirmedMerge
from metaloop.meta.waiting import waiting
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.organization import Organization
from tests.mutated import SHIPPED
from tests.simulated import TARGET, Formula

THINKS = Cluster(thinking=Thinking(propose_s=2.0, tokens=100))


def run(name: str, seed: int) -> tuple[Organization, SimulatedRun]:
    organization = SHIPPED[name].to_organization()
    return organization, simulate_org(OrgRunTerms(organization, seed, 60.0), TARGET, Simulator(Formula(), 2, THINKS))


def confirmed(merge: ev.Merged, author: str, delta: float) -> ConfirmedMerge:
    """What confirmation found of a merge, here made up."""
    return ConfirmedMerge(
        merge.commit, merge.parent, merge.proposal, author, merge.actor, {"depth": 9}, 0.1, -0.01, None, 1,
        delta, None, 3, None, delta >= 0, False,
    )  # fmt: skip


def test_discarded_proposals_count_against_their_author_s_role() -> None:
    organization, done = run("careful-lab", 1)
    roles = {member.name: member.role for member in organization.members}
    proposals = {e.proposal.id: e.proposal for e in done.events if isinstance(e, ev.Proposed)}
    judged = [e for e in done.events if isinstance(e, ev.Judged) and e.verdict == "discard"]
    found = gather(organization, [(done.events, [])])
    assert judged
    for role in set(roles.values()):
        mine = [e for e in judged if roles.get(proposals[e.proposal].author) == role]
        assert (found[role].discarded if role in found else 0) == len(mine)


def test_the_worst_are_the_examples() -> None:
    organization, done = run("solo-greedy", 2)
    discarded = [e for e in done.events if isinstance(e, ev.Judged) and e.verdict == "discard"]
    assert len(discarded) > MOST_EXAMPLES
    told = [
        line for line in gather(organization, [(done.events, [])])["local-proposer"].examples if "discarded" in line
    ]
    assert len(told) == MOST_EXAMPLES
    worst = max(discarded, key=lambda e: e.delta or 0.0)
    assert told[0].endswith(worst.reason)


def test_a_false_merge_counts_against_who_proposed_and_who_merged() -> None:
    organization, done = run("solo-greedy", 2)
    merges = [e for e in done.events if isinstance(e, ev.Merged)]
    assert len(merges) > 1
    sound, false = (
        confirmed(merge, "local-proposer", delta) for merge, delta in zip(merges, (-0.02, 0.01), strict=False)
    )
    found = gather(organization, [(done.events, [sound, false])])
    assert {role: found[role].falsely_merged for role in found} == {"local-proposer": 1, "greedy-merger": 1}
    assert found["greedy-merger"].examples[0] == (
        'falsely merged {"depth":9}: confirmation found +0.0100 bpb over 3 pairs'
    )


def test_a_merge_without_confirmation_speaks_against_nobody() -> None:
    organization, done = run("solo-greedy", 2)
    merge = next(e for e in done.events if isinstance(e, ev.Merged))
    unknown = ConfirmedMerge(
        merge.commit, merge.parent, merge.proposal, "local-proposer", merge.actor, {}, 0.1, None, None, 1,
        None, None, 0, None, False, False,
    )  # fmt: skip
    assert all(item.falsely_merged == 0 for item in gather(organization, [(done.events, [unknown])]).values())


def test_starved_seconds_are_those_that_devices_waited() -> None:
    organization, done = run("tpe", 3)
    waited = sum(wait.seconds for wait in waiting(done.events) if wait.who)
    found = gather(organization, [(done.events, [])])
    assert waited > 0
    assert sum(item.starved_s for item in found.values()) == pytest.approx(waited)
    assert any("devices idled" in line for line in found["tpe-proposer"].examples)


def test_org_runs_add_up_and_silence_is_no_evidence() -> None:
    (organization, one), (_, other) = run("solo-greedy", 4), run("solo-greedy", 5)
    apart = [gather(organization, [(done.events, [])])["local-proposer"].discarded for done in (one, other)]
    both = gather(organization, [(one.events, []), (other.events, [])])
    assert both["local-proposer"].discarded == sum(apart)
    assert gather(organization, []) == {}
    assert set(both) <= {member.role for member in organization.members}
