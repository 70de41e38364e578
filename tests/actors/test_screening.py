"""Which trainings are stopped early, and that one of them may be trained again."""

from __future__ import annotations

import math
from typing import Any

import pytest

from metaloop.actors.screening import stop_rule
from metaloop.brains.brain import Brain
from metaloop.files.policies import defaults
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Observation, Pass, Propose
from metaloop.vocabulary.organization import Member, Organization, RoleKind
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult
from tests.driver import Driver, score


def member(kind: RoleKind, **policy: Any) -> Member:
    return Member(kind, kind, kind, {**defaults(kind), **policy}, "scripted", "")


def organization(*members: Member) -> Organization:
    return Organization("test", "", "", members)


def events(driver: Driver, kind: type) -> list[Any]:
    return [event for event in driver.journal.events if isinstance(event, kind)]


def driven(**policy: object) -> Driver:
    proposer = member("proposer", strategy="random", screen_fraction=0.25, **policy)
    driver = Driver(organization(proposer, member("merger")), budget_s=60.0)
    driver.run()
    return driver


@pytest.mark.parametrize("keep", [0.1, 0.5])
def test_a_share_of_all_readings_goes_on(keep: float) -> None:
    driver = driven(screen_keep=keep)
    read: list[float] = []
    for event in driver.journal.events:
        if isinstance(event, ev.Started) and event.stop is not None:
            assert event.stop.bpb_at_most == sorted(read)[math.ceil(len(read) * keep) - 1]
        if isinstance(event, ev.Finished) and event.result.curve:
            read += [p.bpb for p in event.result.curve if p.fraction == 0.25]
    assert read


def test_keeping_fewer_stops_more() -> None:
    def stopped(keep: float) -> float:
        results = [e.result for e in events(driven(screen_keep=keep), ev.Finished)]
        return sum(r.state == "stopped" for r in results) / len(results)

    assert stopped(0.1) > stopped(0.6) > 0.0


def test_without_any_reading_nothing_is_stopped() -> None:
    driver = driven(screen_keep=0.1)
    first = next(e for e in events(driver, ev.Started))
    assert first.stop is None


class Twice:
    """Proposes one change screened, and then the same again unscreened."""

    def __init__(self) -> None:
        self.times = 0

    def decide(self, observation: Observation) -> Propose | Pass:
        if not observation.head.scores or self.times == 2:
            return Pass("waiting" if self.times < 2 else "that was all")
        self.times += 1
        fraction = 0.25 if self.times == 1 else 0.0
        return Propose({"norm": True}, "slow at first", screen_fraction=fraction, screen_margin=0.0)


def give(driver: Driver, brain: Brain) -> None:
    """Put this brain in the proposer's place, for all its lives."""
    actor = driver.actors["proposer"]
    actor._brain, actor._new_brain = brain, lambda: brain  # type: ignore[method-assign]


def slow_start(request: TrainingRequest) -> TrainingResult:
    """``norm`` reads worse at the look and ends better."""
    free = score(TrainingRequest(request.config, request.seed))
    late = 5.0 if request.config.get("norm") else 0.0
    curve = tuple(CurvePoint(p.fraction, p.seconds, p.bpb + late * (p.fraction < 1)) for p in free.curve)
    if request.stop is not None:
        point = next(p for p in curve if p.fraction >= request.stop.fraction)
        if point.bpb > request.stop.bpb_at_most:
            return TrainingResult("stopped", point.seconds, curve=curve[: curve.index(point) + 1])
    return TrainingResult("ok", free.seconds, free.bpb, curve)


def test_what_was_stopped_can_be_trained_to_its_end_and_merged() -> None:
    driver = Driver(organization(member("proposer"), member("merger")), budget_s=15.0, devices=1, train=slow_start)
    give(driver, Twice())
    state = driver.run()
    ends = [e.result.state for e in events(driver, ev.Finished)]
    assert ends == ["ok", "stopped", "ok"]
    assert not events(driver, ev.Rejected)
    assert state.branches["main"].config == {"norm": True}
    assert not state.failures


def test_what_was_trained_to_its_end_is_still_a_duplicate() -> None:
    driver = Driver(organization(member("proposer"), member("merger", strategy="never")), budget_s=15.0, devices=1)
    give(driver, Twice())
    driver.run()
    assert len(events(driver, ev.Finished)) == 2
    assert [e.reason for e in events(driver, ev.Rejected)] == ["duplicate of e2, which was trained"]


def test_repeats_and_incumbents_are_never_screened() -> None:
    driver = driven(screen_keep=0.1)
    for experiment in driver.state.experiments.values():
        if experiment.experiment.purpose != "candidate":
            assert stop_rule(driver.state, experiment.experiment) is None
