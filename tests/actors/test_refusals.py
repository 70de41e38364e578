"""A brain without a usable answer: recorded and paid for, nothing made up in its place, and others go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from metaloop.actors.messages import Ask, Decided
from metaloop.actors.run_context import MOST_REFUSALS
from metaloop.actors.state import replay
from metaloop.files.policies import defaults
from metaloop.meta.audit import audit
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Refuse
from metaloop.vocabulary.organization import Cadence, Member, Organization, RoleKind
from metaloop.vocabulary.records import Cost
from tests.driver import Driver

COST = Cost(0.2, 100, 0.01)


def member(kind: RoleKind, name: str = "", **policy: Any) -> Member:
    return Member(name or kind, name or kind, kind, {**defaults(kind), **policy}, "scripted", "")


def refusing(driver: Driver, name: str, when: Callable[[int], bool] = lambda _: True, outage: bool = False) -> None:
    """Let a member refuse the questions whose number (from 0) ``when`` says."""
    actor, asked = driver.actors[name], []
    handle = actor.handle

    def answer(ask: Ask) -> Decided:
        asked.append(ask.ask)
        decided = handle(ask)
        refuses = when(len(asked) - 1)
        return Decided(ask.ask, ask.actor, Refuse("not JSON", COST, outage)) if refuses else decided

    actor.handle = answer  # type: ignore[method-assign]


def run(*members: Member, refuses: str, when: Callable[[int], bool] = lambda _: True, **terms: Any) -> Driver:
    driver = Driver(Organization("test", "", "", members, **terms), budget_s=40.0)
    refusing(driver, refuses, when)
    driver.run()
    return driver


def events(driver: Driver, kind: type) -> list[Any]:
    return [event for event in driver.journal.events if isinstance(event, kind)]


@pytest.mark.parametrize("kind", ["proposer", "reviewer", "merger"])
def test_whoever_never_answers_is_asked_no_more_and_the_run_ends(kind: RoleKind) -> None:
    driver = run(member("proposer"), member("reviewer"), member("merger"), refuses=kind, quorum=1)
    refused = events(driver, ev.Refused)
    assert len(refused) == MOST_REFUSALS
    assert {event.actor for event in refused} == {kind}
    assert driver.state.ended
    # Without its reviewer an organization goes on unreviewed, as after a death; nobody replaces the other two.
    assert bool(events(driver, ev.Merged)) == (kind == "reviewer")


def test_what_a_refusal_cost_is_paid() -> None:
    driver = run(member("proposer"), member("merger"), refuses="proposer")
    counted = audit(driver.journal.events)
    assert (counted.tokens, driver.state.ledger.tokens) == (MOST_REFUSALS * 100, MOST_REFUSALS * 100)
    assert counted.usd == pytest.approx(MOST_REFUSALS * 0.01)


def test_a_refusal_now_and_then_changes_little() -> None:
    driver = run(member("proposer"), member("merger"), refuses="proposer", when=lambda number: number % 3 == 0)
    assert len(events(driver, ev.Refused)) > MOST_REFUSALS
    assert events(driver, ev.Merged)


def test_no_vote_is_no_approval() -> None:
    driver = run(member("proposer"), member("reviewer"), member("merger"), refuses="reviewer", quorum=1)
    first = events(driver, ev.Rejected)[0]
    assert first.reason == "voted down; no usable vote from reviewer"
    assert not [e for e in events(driver, ev.Queued) if e.experiment.proposal == first.proposal]


def test_others_votes_count_without_the_one_that_is_missing() -> None:
    both = (member("reviewer", "one"), member("reviewer", "two"))
    driver = run(member("proposer"), *both, member("merger"), refuses="one", when=lambda n: n < 3, quorum=1)
    silent = {event.proposal for event in events(driver, ev.Refused)}
    assert silent
    assert silent & {e.experiment.proposal for e in events(driver, ev.Queued)}


def test_another_merger_judges_what_one_could_not() -> None:
    mergers = (member("merger", "one"), member("merger", "two"))
    driver = run(member("proposer"), *mergers, refuses="one")
    assert len(events(driver, ev.Refused)) == MOST_REFUSALS
    judged = {event.proposal: event.actor for event in events(driver, ev.Judged)}
    assert {judged[event.proposal] for event in events(driver, ev.Refused)} == {"two"}


def test_without_a_verdict_a_candidate_is_discarded_by_nobody_but_the_controller() -> None:
    driver = run(member("proposer"), member("merger"), refuses="merger", when=lambda number: number == 0)
    (refused,) = events(driver, ev.Refused)
    verdict = next(e for e in events(driver, ev.Judged) if e.proposal == refused.proposal)
    assert (verdict.actor, verdict.verdict) == ("controller", "discard")
    assert verdict.reason == "no merger is left to judge it: no usable verdict from merger"


def test_a_stand_up_whose_director_has_no_answer_ends_and_lays_down_nothing() -> None:
    members = (member("proposer"), member("merger"), member("director"))
    driver = run(*members, refuses="director", cadence=Cadence(standup_every=4, standup_seconds=1.0))
    ended = events(driver, ev.StandUpEnded)
    assert ended
    assert all(event.steering == {} and not event.led for event in ended)
    assert "no usable answer" in ended[0].minutes
    assert len(events(driver, ev.Refused)) == MOST_REFUSALS, "meetings without it do not count as its decisions"


def test_a_replay_knows_who_was_silent() -> None:
    driver = run(member("proposer"), member("reviewer"), member("merger"), refuses="reviewer", quorum=1)
    again = replay(driver.journal.events, driver.state.teams)
    assert again.refusals_in_a_row == driver.state.refusals_in_a_row
    assert {p: s.silent for p, s in again.proposals.items()} == {p: s.silent for p, s in driver.state.proposals.items()}


def test_a_server_that_is_down_for_a_while_costs_nobody_his_place() -> None:
    driver = Driver(Organization("test", "", "", (member("proposer"), member("merger"))), budget_s=40.0)
    refusing(driver, "proposer", when=lambda number: number < 2 * MOST_REFUSALS, outage=True)
    driver.run()
    assert len(events(driver, ev.Refused)) == 2 * MOST_REFUSALS
    assert events(driver, ev.Merged)


def test_a_verdict_that_comes_too_late_is_paid_all_the_same() -> None:
    members = (member("proposer", "a"), member("proposer", "b", strategy="random"), member("merger"))
    driver = Driver(Organization("test", "", "", members), budget_s=60.0, devices=4)
    paid = []
    actor = driver.actors["merger"]
    handle = actor.handle

    def dear(ask: Ask) -> Decided:
        decided = handle(ask)
        paid.append(ask.ask)
        return msgspec.structs.replace(decided, decision=msgspec.structs.replace(decided.decision, cost=COST))

    actor.handle = dear  # type: ignore[method-assign]
    driver.run()
    assert driver.state.ledger.tokens == 100 * len(set(paid))
