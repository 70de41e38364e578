"""Peers in real time: the same protocol, with a process for each device.

The budget's rule is the virtual one's. Everything costs what it takes: a peer's thinking holds the devices, and a
paused training begins anew (nanoGPT writes no checkpoints), reporting only what it had not reported before.
"""

from __future__ import annotations

import selectors
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.peers.course import Course
from bench.peers.protocol import Peer, Resume, Start, Verdict, resource_of
from bench.peers.worker import Message, Order
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.errors import BackendError
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import training_seed


class Workers:
    """``devices`` warm trainer processes."""

    def __init__(self, python: str, preset: str, data: str, devices: int) -> None:
        command = [python, str(Path(__file__).with_name("worker.py")), preset, data]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) for _ in range(devices)
        ]
        self._selector = selectors.DefaultSelector()
        for device, process in enumerate(self._processes):
            assert process.stdout is not None
            self._selector.register(process.stdout, selectors.EVENT_READ, device)
        for device in range(devices):
            self.listen(device)

    def __len__(self) -> int:
        return len(self._processes)

    def order(self, device: int, request: TrainingRequest, *, watched: bool) -> None:
        """Begin a training; its messages come by :meth:`wait`."""
        self._send(device, msgspec.json.encode(Order(request, watched)))

    def answer(self, device: int, goes_on: bool) -> None:
        """What a watched training asked at a point."""
        self._send(device, b'"go"' if goes_on else b'"stop"')

    def wait(self, timeout: float | None) -> list[int]:
        """Devices that have something to say, at the latest after ``timeout`` seconds."""
        return sorted(key.data for key, _ in self._selector.select(timeout))

    def listen(self, device: int) -> Message:
        """The next message of a device.

        Raises:
            BackendError: its process died.
        """
        stdout = self._processes[device].stdout
        assert stdout is not None
        line = stdout.readline()
        if not line.endswith(b"\n"):
            raise BackendError(f"trainer {device} died. The same command goes on from here.")
        return msgspec.json.decode(line, type=Message)

    def train_all(self, requests: Sequence[TrainingRequest]) -> list[TrainingResult]:
        """The harness's own trainings, on all devices; results in the order of the requests."""
        results: dict[int, TrainingResult] = {}
        waiting, idle = list(enumerate(requests)), list(range(len(self)))
        under_way: dict[int, int] = {}
        while waiting or under_way:
            while waiting and idle:
                index, request = waiting.pop(0)
                device = idle.pop(0)
                under_way[device] = index
                self.order(device, request, watched=False)
            for device in self.wait(None):
                result = self.listen(device).result
                assert result is not None
                results[under_way.pop(device)] = result
                idle.append(device)
        return [results[index] for index in range(len(requests))]

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(timeout=60)

    def _send(self, device: int, line: bytes) -> None:
        stdin = self._processes[device].stdin
        assert stdin is not None
        stdin.write(line + b"\n")


@dataclass
class _Training:
    trial: str
    since: float
    paused: bool = False


def run_real(peer: Peer, course: Course, workers: Workers) -> Course:
    """Let ``peer`` spend the course's budget on the workers; every configuration trains on the run's first seed."""
    _Driver(peer, course, workers).run()
    return course


class _Driver:
    def __init__(self, peer: Peer, course: Course, workers: Workers) -> None:
        self._peer, self._course, self._workers = peer, course, workers
        self._seed = training_seed(course.seed, 0)
        self._idle = list(range(course.devices))
        self._busy: dict[int, _Training] = {}
        self._reported: dict[str, int] = {}
        """Trial to the resource that was reported last."""
        self._paused: set[str] = set()
        self._clock = WallClock()

    def run(self) -> None:
        self._fill()
        while self._busy:
            for device in self._workers.wait(self._left() if self._idle else None):
                self._hear(device, self._workers.listen(device))
            self._fill()
        now = self._clock.now()
        for device in self._idle:
            self._course.released(device, now)
        self._course.finish(now, len(self._paused))

    def _left(self) -> float | None:
        """Seconds until the budget is spent; ``None`` once it is."""
        left = self._course.budget_s / self._course.devices - self._clock.now()
        return left if left > 0 else None

    def _fill(self) -> None:
        """Give idle devices work; once the budget is spent, give them back."""
        for device in sorted(self._idle):
            if self._left() is None:
                self._idle.remove(device)
                self._course.released(device, self._clock.now())
                continue
            order = self._peer.next()
            if order is None:
                return
            self._idle.remove(device)
            self._begin(device, order)

    def _begin(self, device: int, order: Start | Resume) -> None:
        if isinstance(order, Resume):
            self._paused.discard(order.trial)
            config = self._course.config(order.trial)
        else:
            config = self._course.started(order.trial, order.config)
        self._busy[device] = _Training(order.trial, self._clock.now())
        self._workers.order(device, TrainingRequest(config, self._seed), watched=True)

    def _hear(self, device: int, message: Message) -> None:
        training = self._busy[device]
        if message.point is not None:
            self._workers.answer(device, self._goes_on(training, message.point))
        elif message.result is not None:
            self._ended(training, message.result)
            del self._busy[device]
            self._idle.append(device)

    def _goes_on(self, training: _Training, point: CurvePoint) -> bool:
        resource = resource_of(point.fraction)
        if resource <= self._reported.get(training.trial, 0):
            return True
        self._reported[training.trial] = resource
        verdict = self._peer.report(training.trial, resource, point.bpb)
        training.paused = verdict is Verdict.PAUSE
        return verdict is Verdict.GO

    def _ended(self, training: _Training, result: TrainingResult) -> None:
        now = self._clock.now()
        self._course.busy_s += now - training.since
        if training.paused:
            self._paused.add(training.trial)
            return
        score = result.bpb.get("val") if result.state == "ok" else None
        self._course.ended(training.trial, now, result.state, score)
        if result.state != "stopped":
            self._peer.end(training.trial, score)
