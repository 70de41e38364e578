"""Peers in virtual time: a heap of device events keyed (time, sequence), as in metaloop's simulator.

The budget's rule is the simulator's: devices are held from the start, nothing begins once the allotted device time is
spent, what is in flight is finished, and each device goes back when its training ends. What a peer computes costs no
virtual time, and a paused training goes on from where it stood at no cost: both in the peers' favour.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from bench.peers.course import Course
from bench.peers.protocol import Peer, Resume, Start, Verdict, resource_of
from metaloop.execution.trainer import SimulatedTrainer
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import training_seed


@dataclass
class _Training:
    """A simulated training: its whole result is known, and is told point by point."""

    trial: str
    result: TrainingResult
    points: list[CurvePoint] = field(default_factory=list)
    seen_s: float = 0.0
    """Seconds of training that have passed."""

    def __post_init__(self) -> None:
        self.points = [point for point in self.result.curve if point.fraction < 1]

    def step(self) -> float:
        """Seconds until the next point, or until the end."""
        following = self.points[0].seconds if self.points else self.result.seconds
        return max(0.0, following - self.seen_s)


def run_virtual(peer: Peer, course: Course, trainer: SimulatedTrainer) -> Course:
    """Let ``peer`` spend the course's budget on its devices; every configuration trains on the run's first seed."""
    _Driver(peer, course, trainer).run()
    return course


class _Driver:
    def __init__(self, peer: Peer, course: Course, trainer: SimulatedTrainer) -> None:
        self._peer, self._course, self._trainer = peer, course, trainer
        self._seed = training_seed(course.seed, 0)
        self._heap: list[tuple[float, int, int, _Training]] = []
        self._paused: dict[str, _Training] = {}
        self._idle = list(range(course.devices))
        self._sequence = 0
        self._now = 0.0

    def run(self) -> None:
        self._fill()
        while self._heap:
            self._now, _, device, training = heapq.heappop(self._heap)
            if self._goes_on(training):
                self._wait(device, training)
            else:
                self._idle.append(device)
            self._fill()
        for device in self._idle:
            self._course.released(device, self._now)
        self._course.finish(self._now, len(self._paused))

    def _fill(self) -> None:
        """Give idle devices work, lowest number first; once the budget is spent, give them back."""
        if self._now * self._course.devices >= self._course.budget_s:
            for device in self._idle:
                self._course.released(device, self._now)
            self._idle = []
        for device in sorted(self._idle):
            order = self._peer.next()
            if order is None:
                return
            self._idle.remove(device)
            self._wait(device, self._begin(order))

    def _begin(self, order: Start | Resume) -> _Training:
        if isinstance(order, Resume):
            return self._paused.pop(order.trial)
        config = self._course.started(order.trial, order.config)
        return _Training(order.trial, self._trainer.simulate(TrainingRequest(config, self._seed), 1.0))

    def _wait(self, device: int, training: _Training) -> None:
        self._sequence += 1
        self._course.busy_s += training.step()
        heapq.heappush(self._heap, (self._now + training.step(), self._sequence, device, training))

    def _goes_on(self, training: _Training) -> bool:
        """Tell the peer of the point that was reached, or of the end."""
        if not training.points:
            self._end(training)
            return False
        point = training.points.pop(0)
        training.seen_s = point.seconds
        verdict = self._peer.report(training.trial, resource_of(point.fraction), point.bpb)
        if verdict is Verdict.STOP:
            self._course.ended(training.trial, self._now, "stopped", None)
        elif verdict is Verdict.PAUSE:
            self._paused[training.trial] = training
        return verdict is Verdict.GO

    def _end(self, training: _Training) -> None:
        score = training.result.bpb.get("val") if training.result.state == "ok" else None
        self._course.ended(training.trial, self._now, training.result.state, score)
        self._peer.end(training.trial, score)
