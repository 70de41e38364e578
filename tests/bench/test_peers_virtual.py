"""Peers in virtual time: schedules computed by hand."""

from __future__ import annotations

from collections.abc import Callable

from bench.peers.course import Course
from bench.peers.protocol import Resume, Start, Verdict, resource_of
from bench.peers.virtual import run_virtual
from metaloop.meta.audit import audit
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import training_seed
from metaloop.vocabulary.space import Knob, Space

SPACE = Space((Knob("x", "optimizer", "int", 0, 0, 99),))
SECONDS = (1.0, 2.0, 4.0, 6.0, 8.0)
FRACTIONS = (0.125, 0.25, 0.5, 0.75, 1.0)


class Formula:
    """Trainings of 10 seconds whose score falls by 0.01 with each step of ``x``; x = 99 diverges after 3 seconds."""

    def __init__(self) -> None:
        self.requests: list[TrainingRequest] = []

    def train(self, request: TrainingRequest) -> TrainingResult:
        return self.simulate(request, 1.0)

    def simulate(self, request: TrainingRequest, speed: float) -> TrainingResult:
        self.requests.append(request)
        x = int(request.config.get("x", 0))
        bpb = 3.0 - 0.01 * x
        curve = tuple(CurvePoint(f, s, bpb + 1 - f) for f, s in zip(FRACTIONS, SECONDS, strict=True))
        if x == 99:
            return TrainingResult("diverged", 3.0, curve=curve[:2])
        return TrainingResult("ok", 10.0, {"val": bpb}, curve)


class Scripted:
    """Trains x = 0, 1, 2, … and answers points by a rule; keeps what it was told."""

    def __init__(self, rule: Callable[[str, int], Verdict] = lambda *_: Verdict.GO, xs: tuple[int, ...] = ()) -> None:
        self.rule, self.xs = rule, list(xs or range(90))
        self.resume: list[str] = []
        self.points: list[tuple[str, int, float]] = []
        self.ends: list[tuple[str, float | None]] = []

    def next(self) -> Start | Resume | None:
        if self.resume:
            return Resume(self.resume.pop(0))
        if not self.xs:
            return None
        x = self.xs.pop(0)
        return Start(f"t{x}", {"x": x})

    def report(self, trial: str, resource: int, bpb: float) -> Verdict:
        self.points.append((trial, resource, round(bpb, 6)))
        return self.rule(trial, resource)

    def end(self, trial: str, bpb: float | None) -> None:
        self.ends.append((trial, bpb))


def run(peer: Scripted, devices: int, budget_s: float) -> tuple[Course, Formula]:
    trainer = Formula()
    return run_virtual(peer, Course("peer", 7, devices, budget_s, SPACE), trainer), trainer


def merges(course: Course) -> list[tuple[float, dict[str, object], float]]:
    return [(e.t, dict(e.config), e.spent_s) for e in course.events if isinstance(e, ev.Merged)]


def test_one_device_trains_one_after_the_other_until_the_budget_is_spent() -> None:
    peer = Scripted()
    course, trainer = run(peer, 1, 25.0)
    assert [request.config for request in trainer.requests] == [{}, {"x": 1}, {"x": 2}]
    assert {request.seed for request in trainer.requests} == {training_seed(7, 0)}
    assert merges(course) == [(20.0, {"x": 1}, 20.0), (30.0, {"x": 2}, 30.0)]
    assert audit(course.events).allocated_s == 30.0
    assert (course.busy_s, course.states) == (30.0, {"ok": 3})


def test_a_training_that_begins_at_the_very_end_is_not_begun() -> None:
    course, trainer = run(Scripted(), 1, 20.0)
    assert len(trainer.requests) == 2
    assert audit(course.events).allocated_s == 20.0


def test_two_devices_share_the_budget_and_go_back_one_by_one() -> None:
    peer = Scripted(lambda trial, resource: Verdict.STOP if trial == "t1" else Verdict.GO)
    course, trainer = run(peer, 2, 22.0)
    # Device 1 stops t1 at 1 s and trains t2 until 11 s, when 22 device-seconds are spent; device 0 trains t0 until
    # 10 s, and then t3 until 20 s.
    assert [request.config for request in trainer.requests] == [{}, {"x": 1}, {"x": 2}, {"x": 3}]
    assert peer.ends == [("t0", 3.0), ("t2", 2.98), ("t3", 2.97)]
    assert [(e.device, e.t) for e in course.events if isinstance(e, ev.Released)] == [
        ("device-1", 11.0),
        ("device-0", 20.0),
    ]
    assert audit(course.events).allocated_s == 31.0
    assert course.states == {"ok": 3, "stopped": 1}


def test_points_are_told_in_eighths_before_the_end() -> None:
    peer = Scripted(xs=(0,))
    run(peer, 1, 100.0)
    assert peer.points == [("t0", 1, 3.875), ("t0", 2, 3.75), ("t0", 4, 3.5), ("t0", 6, 3.25)]
    assert [resource_of(fraction) for fraction in (0.01, 0.125, 0.131, 0.4, 0.999, 1.0)] == [1, 1, 1, 3, 7, 8]


def test_a_paused_training_that_nobody_takes_up_costs_what_it_trained() -> None:
    peer = Scripted(lambda trial, resource: Verdict.PAUSE if resource == 2 and trial != "t5" else Verdict.GO, (0, 1, 5))
    course, _ = run(peer, 1, 14.0)
    assert (course.states, peer.ends) == ({"ok": 1, "paused": 2}, [("t5", 2.95)])
    assert audit(course.events).allocated_s == 14.0


class Resuming(Scripted):
    """Takes t1 up again when t0 has ended."""

    def end(self, trial: str, bpb: float | None) -> None:
        super().end(trial, bpb)
        if trial == "t0":
            self.resume.append("t1")


def test_a_paused_training_goes_on_from_where_it_stood() -> None:
    peer = Resuming(lambda trial, resource: Verdict.PAUSE if (trial, resource) == ("t1", 2) else Verdict.GO, (0, 1))
    course, trainer = run(peer, 2, 100.0)
    # t1 pauses at 2 s; t0 ends at 10 s; t1 goes on for the 8 seconds it lacked.
    assert peer.ends == [("t0", 3.0), ("t1", 2.99)]
    assert [resource for trial, resource, _ in peer.points if trial == "t1"] == [1, 2, 4, 6]
    assert merges(course) == [(18.0, {"x": 1}, 36.0)]
    assert len(trainer.requests) == 2
    assert course.busy_s == 20.0


def test_a_failure_has_no_score() -> None:
    peer = Scripted(xs=(0, 99, 1))
    course, _ = run(peer, 1, 100.0)
    assert peer.ends == [("t0", 3.0), ("t99", None), ("t1", 2.99)]
    assert course.states == {"ok": 2, "diverged": 1}
    assert merges(course) == [(23.0, {"x": 1}, 23.0)]


def test_whatever_beats_nothing_is_the_incumbent_until_the_baseline_is_known() -> None:
    course, _ = run(Scripted(xs=(5, 0, 3)), 1, 100.0)
    assert merges(course) == [(10.0, {"x": 5}, 10.0)]
