"""Idle device time is explained, and nothing is explained twice."""

from __future__ import annotations

import pytest

from metaloop.meta.waiting import idle_stretches, waiting
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import Cost, Experiment, Proposal, Purpose, TrainingResult
from tests.invariant_checks import check_waiting
from tests.simulated import fault_case, simulate


def queued(t: float, name: str, proposal: str | None, purpose: Purpose = "candidate", repeat: int = 0) -> ev.Queued:
    return ev.Queued(t, Experiment(name, {}, repeat, "main", purpose, 1, proposal))


def proposed(t: float, name: str, author: str) -> ev.Proposed:
    return ev.Proposed(t, Proposal(name, author, "main", "c", {}, ""), {}, Cost())


def finished(t: float, name: str, seconds: float) -> ev.Finished:
    return ev.Finished(t, name, "d0", 1, TrainingResult("ok", seconds))


BEGUN = [
    ev.RunStarted(0.0, "o", "x", 0, ("d0",), 100.0, {}, "sim", "0"),
    ev.Reserved(0.0, "d0"),
    queued(0.0, "e1", None, "incumbent"),
    ev.Started(0.0, "e1", "d0", 1),
    finished(10.0, "e1", 9.0),
]


def found(events: list[ev.Event]) -> dict[tuple[str, str], float]:
    return {(w.cause, w.who): w.seconds for w in waiting(events)}


def test_a_slow_proposer_its_reviewers_and_the_controller_are_told_apart() -> None:
    events = [
        *BEGUN,
        proposed(13.0, "p1", "ann"),
        ev.Reviewed(18.0, "p1", "bob", True, "", Cost()),
        queued(18.0, "e2", "p1"),
        ev.Started(18.5, "e2", "d0", 1),
        finished(28.5, "e2", 10.0),
        ev.Released(30.0, "d0"),
        ev.RunEnded(30.0, ""),
    ]
    assert found(events) == {
        ("review", "bob"): 5.0,
        ("proposal", "ann"): 3.0,
        ("end", ""): 1.5,
        ("messages", ""): 1.0,
        ("dispatch", ""): 0.5,
    }
    check_waiting(events)


def test_repeats_wait_for_the_merger_and_stand_ups_for_the_director() -> None:
    events = [
        *BEGUN,
        proposed(0.0, "p1", "ann"),
        ev.StandUpBegan(10.0, "dan"),
        ev.StandUpEnded(14.0, "dan", {}, "", Cost()),
        ev.Judged(15.0, "p1", "meg", "repeat", "", Cost(), repeats=2),
        queued(15.0, "e2", "p1", "repeat", 1),
        ev.Started(15.0, "e2", "d0", 1),
        finished(25.0, "e2", 10.0),
        ev.Released(25.0, "d0"),
    ]
    assert found(events) == {("stand-up", "dan"): 4.0, ("verdict", "meg"): 1.0, ("messages", ""): 1.0}


def test_a_lost_attempt_and_the_time_after_it_are_the_device_s() -> None:
    events = [
        *BEGUN,
        proposed(10.0, "p1", "ann"),
        queued(10.0, "e2", "p1"),
        ev.Started(10.0, "e2", "d0", 1),
        ev.Lost(14.0, "e2", "d0", 1, "killed"),
        ev.Started(20.0, "e2", "d0", 2),
        ev.Finished(25.0, "e2", "d0", 2, TrainingResult("ok", 5.0)),
        ev.Released(25.0, "d0"),
    ]
    assert found(events) == {("device", ""): 6.0, ("lost", ""): 4.0, ("messages", ""): 1.0}


@pytest.mark.parametrize("number", range(100, 130))
def test_busy_and_idle_are_all_that_is_paid_for(number: int) -> None:
    events = simulate(fault_case(number)).events
    check_waiting(events)
    last: dict[str, float] = {}
    for idle in idle_stretches(events):
        assert idle.end > idle.start >= last.get(idle.device, 0.0) - 1e-9
        last[idle.device] = idle.end


def test_what_is_thought_about_after_the_last_training_is_no_end() -> None:
    slow = ev.Proposed(16.0, Proposal("p1", "ann", "main", "c", {}, ""), {}, Cost(4.0))
    late = ev.Refused(33.0, "max", "judge", "p1", "no answer", Cost(8.0))
    events = [*BEGUN, slow, ev.Released(30.0, "d0"), late, ev.RunEnded(33.0, "")]
    assert found(events) == {
        ("messages", ""): 1.0,
        ("end", ""): 11.0,
        ("proposal", "ann"): 4.0,
        ("verdict", "max"): 5.0,
    }


def test_two_thoughts_at_once_are_counted_once() -> None:
    events = [
        *BEGUN,
        ev.Passed(16.0, "ann", "", Cost(6.0)),
        ev.Reviewed(18.0, "p0", "bob", True, "", Cost(8.0)),
        ev.Released(20.0, "d0"),
        ev.RunEnded(20.0, ""),
    ]
    assert found(events) == {("messages", ""): 1.0, ("proposal", "ann"): 6.0, ("review", "bob"): 2.0, ("end", ""): 2.0}
