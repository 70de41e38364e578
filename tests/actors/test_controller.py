"""What the controller does with an organization's terms: reviews, repeats, stand-ups, screening, branches, ideas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from metaloop.actors.messages import ActorLost, Ask, Decided, IdeaArrived
from metaloop.actors.run_context import MOST_DEATHS
from metaloop.files.org_file import load_organization
from metaloop.files.org_reader import organizations_at
from metaloop.files.policies import defaults
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Pass
from metaloop.vocabulary.organization import Cadence, Member, Organization, RoleKind
from metaloop.vocabulary.records import TRUNK, Idea
from tests.driver import Driver

ROOT = Path(__file__).resolve().parents[2]


def shipped(name: str) -> Organization:
    return load_organization(ROOT / "orgs" / name)


def member(kind: RoleKind, name: str = "", **policy: Any) -> Member:
    return Member(name or kind, name or kind, kind, {**defaults(kind), **policy}, "scripted", "")


def organization(*members: Member, **terms: Any) -> Organization:
    return Organization("test", "", "", members, **terms)


def events(driver: Driver, kind: type) -> list[Any]:
    return [event for event in driver.journal.events if isinstance(event, kind)]


def test_the_first_experiment_measures_the_baseline() -> None:
    driver = Driver(shipped("solo-greedy"), budget_s=20.0)
    driver.run()
    first = events(driver, ev.Queued)[0].experiment
    assert (first.purpose, first.config, first.repeat) == ("incumbent", {}, 0)


def test_a_quorum_of_reviewers_lets_proposals_in() -> None:
    picky = member("reviewer", "picky", max_changes=1)
    proposer = member("proposer", strategy="random")
    driver = Driver(organization(proposer, picky, member("merger"), quorum=1), budget_s=15.0)
    driver.run()
    assert all(not vote.approve and "knobs at once" in vote.reason for vote in events(driver, ev.Reviewed))
    assert len(events(driver, ev.Rejected)) > 3
    assert [e.experiment.purpose for e in events(driver, ev.Queued)] == ["incumbent"], "only the baseline is trained"


def test_no_training_starts_during_a_stand_up_and_it_lasts_as_long_as_stated() -> None:
    driver = Driver(shipped("daily-standup"), budget_s=120.0)
    driver.run()
    seconds = driver.organization.cadence.standup_seconds
    spans = list(zip(events(driver, ev.StandUpBegan), events(driver, ev.StandUpEnded), strict=False))
    assert spans
    for began, ended in spans:
        assert ended.t - began.t >= seconds
        assert not [e for e in events(driver, ev.Started) if began.t < e.t < ended.t]


def test_a_testing_merger_merges_only_after_its_repeats() -> None:
    merger = member("merger", strategy="test", repeats=3)
    driver = Driver(organization(member("proposer"), merger), budget_s=150.0)
    state = driver.run()
    merged = [e for e in events(driver, ev.Merged) if e.t < 70]
    assert merged
    assert {e.repeats for e in merged} == {3}
    assert all(e.ci95 is not None for e in merged)
    assert state.branches[TRUNK].merges == len(events(driver, ev.Merged))


def test_screening_stops_the_hopeless_early() -> None:
    bold = member("proposer", strategy="random", screen_fraction=0.25, screen_margin=0.05)
    driver = Driver(organization(bold, member("merger")), budget_s=60.0)
    driver.run()
    results = [e.result for e in events(driver, ev.Finished)]
    stopped = [r for r in results if r.state == "stopped"]
    assert stopped
    assert all(not r.bpb and r.curve[-1].fraction < 1 for r in stopped)
    patient = Driver(organization(member("proposer", strategy="random"), member("merger")), budget_s=60.0)
    patient.run()
    assert len(results) > len(events(patient, ev.Finished)), "killed time buys experiments"


def test_teams_move_their_branches_and_trunk_only_by_integration() -> None:
    driver = Driver(shipped("specialists"), budget_s=120.0)
    state = driver.run()
    trunk = [e for e in events(driver, ev.Merged) if e.branch == TRUNK]
    assert trunk
    assert all(state.proposals[e.proposal].proposal.purpose == "integration" for e in trunk)
    assert {e.branch for e in events(driver, ev.Merged)} >= {TRUNK, "team/training"}


def test_an_idea_is_taken_up_and_keeps_its_source() -> None:
    taker = member("proposer", "taker", strategy="ideas")
    org = organization(taker, member("proposer", "other"), member("merger"), inbox=True)
    driver = Driver(org, budget_s=30.0)
    driver.run(until=lambda d: d.now > 3)
    idea = Idea("i-1", "warm up longer", "a paper", {"warmup": 0.2})
    driver._send(driver.now, IdeaArrived(idea))
    driver._send(driver.now, IdeaArrived(idea))
    driver.run()
    taken = [e.proposal for e in events(driver, ev.Proposed) if e.proposal.idea]
    assert [(p.idea, p.author, p.changes) for p in taken] == [("i-1", "taker", {"warmup": 0.2})]
    assert "a paper" in taken[0].hypothesis
    assert len(events(driver, ev.IdeaAdded)) == 1


@pytest.mark.parametrize("name", [p.name for p in organizations_at(ROOT / "orgs") if shipped(p.name).inbox])
def test_who_reads_an_inbox_takes_up_what_is_in_it(name: str) -> None:
    driver = Driver(shipped(name), budget_s=60.0)
    driver.run(until=lambda d: d.now > 3)
    driver._send(driver.now, IdeaArrived(Idea("i-1", "warm up longer", "a person", {"warmup": 0.2})))
    driver.run()
    taken = [e.proposal for e in events(driver, ev.Proposed) if e.proposal.idea]
    assert taken
    assert {p.idea for p in taken} == {"i-1"}
    assert all(p.changes == {"warmup": 0.2} for p in taken)
    assert len(taken) <= 2, "at most those who were asked at the same moment"


def test_a_proposer_with_nothing_to_say_costs_time_and_ends() -> None:
    driver = Driver(organization(member("proposer", strategy="ideas"), member("merger")), budget_s=20.0)
    state = driver.run()
    assert state.ended
    assert state.ledger.spent_s(driver.now) >= 20.0
    assert len(events(driver, ev.Passed)) < 40, "it rests between two questions"


def test_a_brain_that_always_fails_is_not_asked_for_ever() -> None:
    driver = Driver(organization(member("proposer"), member("merger")), budget_s=20.0)
    asked: list[Ask] = []

    def fail(ask: Ask) -> None:
        asked.append(ask)
        driver._send(driver.now + 0.001, ActorLost(ask.actor, "ValueError: broken brain"))

    driver._ask = fail  # type: ignore[method-assign]
    state = driver.run()
    assert state.ended
    assert len(asked) == MOST_DEATHS
    assert asked[1].reborn


def test_an_answer_to_an_old_question_is_ignored() -> None:
    driver = Driver(organization(member("proposer"), member("merger")), budget_s=10.0)
    driver.start()
    before = list(driver.journal.events)
    driver.controller.handle(Decided(999, "proposer", Pass("late")), 0.5)
    assert driver.journal.events == before


def test_look_ahead_keeps_proposals_ready_but_bounded() -> None:
    org = organization(member("proposer"), member("merger"), cadence=Cadence(lookahead=3))
    driver = Driver(org, budget_s=30.0)
    most = 0

    def watch(d: Driver) -> bool:
        nonlocal most
        most = max(most, len(d.state.queue))
        return False

    driver.run(until=watch)
    assert 2 <= most <= 3 + driver.devices


def test_a_dropped_tail_is_judged_by_what_was_measured() -> None:
    """Repeats that the budget's end dropped do not throw away the score that is there."""
    merger = member("merger", strategy="test", repeats=8, alpha=0.5)
    for seed in range(4):
        driver = Driver(organization(member("proposer"), merger), seed=seed, budget_s=25.0)
        state = driver.run()
        assert not [p for p in state.proposals.values() if p.status in ("judging", "held", "combining", "queued")]


def test_events_are_small() -> None:
    driver = Driver(shipped("solo-greedy"), budget_s=60.0)
    state = driver.run()
    size = sum(len(msgspec.json.encode(event)) for event in driver.journal.events)
    assert size / state.finished < 4000, "bytes of journal for an experiment"
