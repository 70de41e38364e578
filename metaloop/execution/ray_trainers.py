"""The trainer actors of a Ray backend, one on each device, and trainings outside of any org run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from metaloop.execution.heartbeats import HEALTH, Heartbeats, lease_s
from metaloop.execution.notice import GRACE_S, Notice
from metaloop.execution.placement import Placement
from metaloop.execution.ray_actors import TrainerProcess
from metaloop.execution.ray_connection import last_line
from metaloop.execution.ray_nodes import Departures
from metaloop.execution.trainer import TrainerSpec
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.errors import BackendError, Preempted
from metaloop.vocabulary.records import TrainingRequest, TrainingResult

POLL_S = 1.0
"""How often people's ideas are looked for, a sign of life is left and asked for."""
QUIET_S = 2.0
"""Who has worked for less than this is not asked for a sign of life: an answer will come soon, and is one."""


START_S = 180.0
"""How long processes may take to start before the backend gives up."""


class Trainers:
    """One warm trainer process for each device, or group of them; who dies is replaced on the same reservation."""

    def __init__(self, ray: Any, spec: TrainerSpec, gpu: bool, placement: Placement) -> None:
        self._ray = ray
        self._spec = msgspec.json.encode(spec)
        self._gpu = gpu
        self._wanted = placement.of_group(gpu, spec.devices)
        self._reservation: Any = None
        self._order: list[str] = []
        self.of: dict[str, Any] = {}
        self.hardware: dict[str, str] = {}
        """What each device is, as its process said when it came up."""

    def start(self, devices: Sequence[str], reservation: Any) -> dict[str, Any]:
        """Start them all on a placement group with a bundle for each; returns what to wait for, by device."""
        self._order, self._reservation = list(devices), reservation
        return {device: self.restart(device) for device in devices}

    def restart(self, device: str) -> Any:
        """A new process for the device; returns what to wait for."""
        index = self._order.index(device)
        place = self._ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
            self._reservation, placement_group_bundle_index=index
        )
        actor = self._ray.remote(
            num_cpus=self._wanted["CPU"],
            num_gpus=self._wanted.get("GPU", 0),
            max_restarts=0,
            scheduling_strategy=place,
            concurrency_groups={HEALTH: 1},
        )(TrainerProcess)
        self.of[device] = actor.remote(self._spec, self._gpu)
        return self.ready(device)

    def ready(self, device: str) -> Any:
        """What to wait for until the device's process is warm: at once, if it is, an error, if it has died. The answer
        is what the device is."""
        return self.of[device].ready.remote()

    def train(self, device: str, request: TrainingRequest) -> Any:
        return self.of[device].train.remote(msgspec.json.encode(request))

    def nodes(self) -> dict[str, str]:
        """Each device's node (Ray's identifier in hex); those that have none just now are left out."""
        places = self._ray.util.placement_group_table(self._reservation)["bundles_to_node_id"]
        return {device: places[index] for index, device in enumerate(self._order) if index in places}

    def kill(self, device: str) -> None:
        """Every call to it fails at once; Ray sees to the process, a stopped one too (measured: within 5 s)."""
        self._ray.kill(self.of[device])


def must_come_back(now: float, away: Mapping[str, float], devices: int) -> None:
    """Devices are paid for while they come back; once none of them does, what is left is kept for later.

    ``away``: those that are, or are on a node that will go and have nothing to do, and since when; of so many
    ``devices``.

    Raises:
        BackendError
    """
    if away and len(away) == devices and now - max(away.values()) > START_S:
        raise BackendError(
            f"none of the {len(away)} devices has come back for {START_S:.0f} s. Once the cluster has some again, "
            "`metaloop resume DIR` goes on."
        )


@dataclass
class _Call:
    """A training under way; ``attempt`` 0: the device's new process comes up."""

    device: str
    index: int
    attempt: int
    since: float


class Trainings:
    """Trains requests on ``devices``. One whose device dies or falls silent is tried once more, then is a crash."""

    def __init__(self, ray: Any, trainers: Trainers, devices: Sequence[str], longest_s: float, notice: Notice) -> None:
        self._ray = ray
        self._trainers = trainers
        self._devices = devices
        self._longest_s = longest_s
        self._notice = notice
        self._clock = WallClock()
        self._heartbeats = Heartbeats(ray, lease_s(longest_s), POLL_S)
        self._departures = Departures(ray, trainers.nodes)
        self._waiting: list[tuple[int, int]] = []
        """Index and attempt of what is to be trained, the next one last."""
        self._idle: list[str] = []
        self._calls: dict[Any, _Call] = {}

    def run(self, requests: Sequence[TrainingRequest], on_result: Callable[[int, TrainingResult], None]) -> None:
        """Train everything; ``on_result`` gets each request's index and result as it comes.

        Raises:
            Preempted: notice was given; what had ended by the end of the grace time has been handed on.
            BackendError: no device comes back.
        """
        self._waiting = [(index, 1) for index in range(len(requests))][::-1]
        # Whoever has nothing to do may have died unnoticed, or still be coming up.
        now = self._clock.now()
        self._calls = {self._trainers.ready(device): _Call(device, -1, 0, now) for device in self._devices}
        next_look, noticed = POLL_S, None
        while self._waiting or any(call.attempt for call in self._calls.values()):
            self._follow_nodes()
            if not self._notice.given:
                self._dispatch(requests)
            for ref in self._next():
                self._take(ref, on_result)
            now = self._clock.now()
            if now >= next_look:
                next_look = now + POLL_S
                self._kill_silent(now)
            if self._notice.given:
                noticed = now if noticed is None else noticed
                self._stop_if_drained(now - noticed)

    def _next(self) -> list[Any]:
        """Wait for the next answer, for a while."""
        if not self._calls:
            self._clock.sleep(POLL_S)
            return []
        ready: list[Any] = self._ray.wait(list(self._calls), num_returns=1, timeout=POLL_S)[0]
        return ready

    def _follow_nodes(self) -> None:
        """Whose node was to go, and is not to go or is gone, is asked whether it is there before it trains again."""
        now = self._clock.now()
        busy = {call.device for call in self._calls.values() if call.attempt}
        for device in self._departures.look(now, busy).back:
            if device in self._idle:
                self._idle.remove(device)
                self._calls[self._trainers.ready(device)] = _Call(device, -1, 0, now)

    def _dispatch(self, requests: Sequence[TrainingRequest]) -> None:
        free = [device for device in self._idle if device not in self._departures.idle_since]
        while self._waiting and free:
            device, (index, attempt) = free.pop(), self._waiting.pop()
            self._idle.remove(device)
            ref = self._trainers.train(device, requests[index])
            self._calls[ref] = _Call(device, index, attempt, self._clock.now())

    def _take(self, ref: Any, on_result: Callable[[int, TrainingResult], None]) -> None:
        """What came of a call."""
        call = self._calls.pop(ref)
        try:
            value = self._ray.get(ref)
            result = None
            if call.attempt:
                result = msgspec.json.decode(value, type=TrainingResult)
            else:
                self._trainers.hardware[call.device] = value
            self._idle.append(call.device)
        except self._ray.exceptions.RayTaskError as error:
            result = TrainingResult("crash", 0.0, message=last_line(error))
            self._idle.append(call.device)
        except self._ray.exceptions.RayError as error:
            result = self._lost(call, last_line(error))
        if result is not None:
            on_result(call.index, result)

    def _lost(self, call: _Call, reason: str) -> TrainingResult | None:
        """The device's process died: a new one comes up; what it trained is tried once more."""
        now = self._clock.now()
        self._calls[self._trainers.restart(call.device)] = _Call(call.device, -1, 0, now)
        if call.attempt == 1:
            self._waiting.append((call.index, 2))
        return TrainingResult("crash", 0.0, message=reason) if call.attempt > 1 else None

    def _kill_silent(self, now: float) -> None:
        """Whoever hangs, or has let its lease run out, is killed: its call then fails."""
        ages = {call.device: now - call.since for call in self._calls.values() if call.attempt}
        at_work = {device: self._trainers.of[device] for device, age in ages.items() if age > QUIET_S}
        hung = [device for device, age in ages.items() if age > self._longest_s]
        for device in {*self._heartbeats.look(at_work), *hung}:
            self._trainers.kill(device)
        coming = {call.device: call.since for call in self._calls.values() if not call.attempt}
        away = self._departures.idle_since | coming
        must_come_back(now, {d: away[d] for d in self._devices if d in away}, len(self._devices))

    def _stop_if_drained(self, since_notice: float) -> None:
        training = sum(call.attempt > 0 for call in self._calls.values())
        if self._waiting and (not training or since_notice >= GRACE_S):
            raise Preempted(f"stopped on notice, with {len(self._waiting) + training} trainings of the harness to do.")
