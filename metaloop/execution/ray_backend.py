"""The Ray backend: members and trainers are Ray actors, time is the wall clock.

The driver process hosts the controller and turns its commands into actor calls; every answer comes back as a
message with the time. Trainers hold one device each (a CPU core, or a GPU) for as long as the backend lives, so
that an experiment never pays for starting a process; role actors hold none.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from metaloop.actors.messages import (
    ActorLost,
    Ask,
    Command,
    Decided,
    DeviceLost,
    DeviceReady,
    Message,
    Train,
    Trained,
    Wake,
    Woken,
)
from metaloop.execution.backend import Hosting
from metaloop.execution.ray_actors import Assignment, RoleProcess, TrainerProcess
from metaloop.execution.ray_connection import last_line, start_ray
from metaloop.execution.trainer import TrainerSpec
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.errors import BackendError
from metaloop.vocabulary.records import TrainingRequest, TrainingResult

POLL_S = 1.0
"""How often people's ideas are looked for and a sign of life is left."""
START_S = 180.0
"""How long processes may take to start before the backend gives up."""
RESERVE_S = 20.0
"""How long devices that are there may take to come free: Ray gives back those of an ended run within seconds."""


@dataclass
class _Call:
    """An actor call under way."""

    kind: str
    who: str
    since: float
    command: Ask | Train | None = None


@dataclass
class _Loop:
    """What one hosted run has under way."""

    hosting: Hosting
    clock: WallClock
    calls: dict[Any, _Call] = field(default_factory=dict)
    timers: list[float] = field(default_factory=list)
    late: list[tuple[float, int, Decided]] = field(default_factory=list)
    """Decisions whose declared thinking time has not passed yet."""


class RayBackend:
    """``devices`` trainer actors on a local Ray (``address`` None) or a running cluster.

    ``in_order``: answers are taken in the order of the questions, before any training's result. Processes of a
    cluster keep no such order among themselves, so this is how a run on one device repeats decision by decision
    (and how it is compared with the simulator); a slow member then holds up all others.

    ``beside``: another backend of this process, whose Ray is used too, so that org runs go on side by side, one thread
    each. Each backend's devices are a reservation of its own (a placement group). The first one is closed last.

    ``wait_s``: how long devices may take to come free, or to be added by the cluster's autoscaler, which sees the
    waiting reservation as demand. With 0 they must be there.
    """

    name = "ray"

    def __init__(
        self,
        spec: TrainerSpec,
        devices: int,
        address: str | None = None,
        *,
        in_order: bool = False,
        beside: RayBackend | None = None,
        wait_s: float = 0.0,
    ) -> None:
        self._spec = spec
        self._in_order = in_order
        self._beside = beside
        self._roles: list[Any] = []
        self._trainers: dict[str, Any] = {}
        self._reservation: Any = None
        self._ray: Any = beside._ray if beside else start_ray(address)
        self._gpu = bool(self._ray.cluster_resources().get("GPU"))
        prefix = "gpu" if self._gpu else "cpu"
        self.devices = tuple(f"{prefix}-{i}" for i in range(devices))
        self._reserve(wait_s)
        self._trainers = {device: self._new_trainer(device) for device in self.devices}
        self._await([t.ready.remote() for t in self._trainers.values()], "trainers")

    def close(self) -> None:
        """End the processes and give the devices back; the backend that started Ray ends it."""
        if self._beside is None:
            self._ray.shutdown()
            return
        for actor in (*self._trainers.values(), *self._roles):
            self._ray.kill(actor)
        if self._reservation is not None:
            self._ray.util.remove_placement_group(self._reservation)

    # Processes -------------------------------------------------------------------------------------------------

    def _reserve(self, wait_s: float) -> None:
        """Take the devices for as long as the backend lives.

        Raises:
            BackendError: there are not as many, or others hold them.
        """
        resource, asked = "GPU" if self._gpu else "CPU", len(self.devices)
        known = int(self._ray.cluster_resources().get(resource, 0))
        if asked > known and not wait_s:
            self.close()
            raise BackendError(
                f"asked for {asked} devices, but there are {known} ({resource}). Ask for at most {known}, or let a "
                "cluster that grows add nodes with --wait-minutes."
            )
        self._reservation = self._ray.util.placement_group([self._share()] * asked, strategy="PACK")
        try:
            self._ray.get(self._reservation.ready(), timeout=RESERVE_S + wait_s)
        except self._ray.exceptions.GetTimeoutError:
            free = int(self._ray.available_resources().get(resource, 0))
            known = int(self._ray.cluster_resources().get(resource, 0))
            self._ray.util.remove_placement_group(self._reservation)
            self.close()
            raise BackendError(
                f"asked for {asked} devices, but {free} of the cluster's {known} ({resource}) are free, each on a node "
                "with a free CPU. Ask for fewer, or wait longer with --wait-minutes."
            ) from None

    def _share(self) -> dict[str, float]:
        """What one device is to Ray."""
        return {"GPU": 1, "CPU": 1} if self._gpu else {"CPU": 1}

    def _new_trainer(self, device: str) -> Any:
        place = self._ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
            self._reservation, placement_group_bundle_index=self.devices.index(device)
        )
        options = {"num_cpus": 1, "num_gpus": int(self._gpu), "max_restarts": 0, "scheduling_strategy": place}
        actor = self._ray.remote(**options)(TrainerProcess)
        return actor.remote(msgspec.json.encode(self._spec), self._gpu)

    def _new_role(self) -> Any:
        return self._ray.remote(num_cpus=0, max_restarts=0)(RoleProcess).remote()

    def _await(self, refs: list[Any], what: str) -> None:
        try:
            self._ray.get(refs, timeout=START_S)
        except self._ray.exceptions.GetTimeoutError:
            raise BackendError(f"the {what} did not start within {START_S:.0f} s. Is the cluster full?") from None
        except self._ray.exceptions.RayError as error:
            raise BackendError(f"the {what} could not start: {last_line(error)}") from None

    def _assign_roles(self, hosting: Hosting) -> None:
        while len(self._roles) < len(hosting.members):
            self._roles.append(self._new_role())
        self._await([self._assign(hosting, i) for i in range(len(hosting.members))], "role actors")

    def _assign(self, hosting: Hosting, index: int) -> Any:
        member, members = hosting.members[index], hosting.members
        assignment = Assignment(member, hosting.space.knobs, hosting.seed, members, hosting.thinking)
        return self._roles[index].assign.remote(msgspec.json.encode(assignment))

    # The loop --------------------------------------------------------------------------------------------------

    def host(self, hosting: Hosting) -> None:
        """Run until the controller has ended; processes that die are replaced, and the controller is told."""
        self._assign_roles(hosting)
        loop = _Loop(hosting, WallClock(hosting.starts_at))
        heapq.heappush(loop.timers, hosting.starts_at + POLL_S)
        next_poll = hosting.starts_at
        self._execute(loop, hosting.begin())
        while not hosting.controller.ended:
            messages = self._next(loop)
            now = loop.clock.now()
            if now >= next_poll:
                next_poll = now + POLL_S
                messages += hosting.poll(now)
                self._kill_hung(loop, now)
                heapq.heappush(loop.timers, next_poll)
            for message in messages:
                self._execute(loop, hosting.controller.handle(message, loop.clock.now()))
        self._replace_thinkers(loop)

    def _replace_thinkers(self, loop: _Loop) -> None:
        """Whoever still thinks about a question of this run would let the next one wait: a new process takes over."""
        for call in loop.calls.values():
            if call.kind == "ask":
                index = self._index(loop, call.who)
                self._ray.kill(self._roles[index])
                self._roles[index] = self._new_role()

    def _execute(self, loop: _Loop, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Train):
                payload = msgspec.json.encode(command.request)
                ref = self._trainers[command.device].train.remote(payload)
                loop.calls[ref] = _Call("train", command.device, loop.clock.now(), command)
            elif isinstance(command, Ask):
                role = self._roles[self._index(loop, command.actor)]
                loop.calls[role.ask.remote(msgspec.json.encode(command))] = _Call(
                    "ask", command.actor, loop.clock.now(), command
                )
            elif isinstance(command, Wake):
                heapq.heappush(loop.timers, command.at)

    def _index(self, loop: _Loop, actor: str) -> int:
        return next(i for i, member in enumerate(loop.hosting.members) if member.name == actor)

    def _next(self, loop: _Loop) -> list[Message]:
        """Wait for the next answer or timer, and say what it means."""
        now = loop.clock.now()
        due = min([*loop.timers[:1], *(late[0] for late in loop.late[:1])], default=now + POLL_S)
        timeout = max(0.0, due - now)
        refs = self._awaited(loop)
        ready = self._ray.wait(refs, num_returns=1, timeout=timeout)[0] if refs else []
        if not refs:
            loop.clock.sleep(timeout)
        messages = [message for ref in ready for message in self._answer(loop, ref)]
        return messages + self._due(loop)

    def _awaited(self, loop: _Loop) -> list[Any]:
        """The calls whose answers may come next."""
        refs = list(loop.calls)
        questions = [ref for ref in refs if loop.calls[ref].kind == "ask"] if self._in_order else []
        return questions[:1] or refs

    def _due(self, loop: _Loop) -> list[Message]:
        now = loop.clock.now()
        messages: list[Message] = []
        while loop.late and loop.late[0][0] <= now:
            messages.append(heapq.heappop(loop.late)[2])
        woken = False
        while loop.timers and loop.timers[0] <= now:
            heapq.heappop(loop.timers)
            woken = True
        return [*messages, Woken()] if woken else messages

    def _answer(self, loop: _Loop, ref: Any) -> list[Message]:
        call = loop.calls.pop(ref)
        try:
            value = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            return self._failed(loop, call, last_line(error))
        except self._ray.exceptions.RayError as error:
            return self._died(loop, call, last_line(error))
        if call.kind == "up":
            return [DeviceReady(call.who)]
        if call.kind == "assigned":
            return []
        if isinstance(call.command, Train):
            result = msgspec.json.decode(value, type=TrainingResult)
            return [Trained(call.who, call.command.experiment.id, call.command.attempt, result)]
        decided = msgspec.json.decode(value, type=Decided)
        ready_at = call.since + decided.decision.cost.seconds
        if ready_at > loop.clock.now():
            heapq.heappush(loop.late, (ready_at, decided.ask, decided))
            return []
        return [decided]

    def _failed(self, loop: _Loop, call: _Call, reason: str) -> list[Message]:
        """The actor is well, the call raised: a trainer's is a crashed training, a brain's counts as its death."""
        if isinstance(call.command, Train):
            result = TrainingResult("crash", loop.clock.now() - call.since, message=reason)
            return [Trained(call.who, call.command.experiment.id, call.command.attempt, result)]
        return [ActorLost(call.who, reason)]

    def _died(self, loop: _Loop, call: _Call, reason: str) -> list[Message]:
        if call.kind in ("train", "up"):
            self._restart_trainer(loop, call.who)
            return [DeviceLost(call.who, reason)]
        index = self._index(loop, call.who)
        self._roles[index] = self._new_role()
        loop.calls[self._assign(loop.hosting, index)] = _Call("assigned", call.who, loop.clock.now())
        return [ActorLost(call.who, reason)]

    def _restart_trainer(self, loop: _Loop, device: str) -> None:
        self._trainers[device] = self._new_trainer(device)
        loop.calls[self._trainers[device].ready.remote()] = _Call("up", device, loop.clock.now())

    def _kill_hung(self, loop: _Loop, now: float) -> None:
        """A training far beyond any honest duration holds its device for nothing: kill it; its call then fails."""
        for call in loop.calls.values():
            if call.kind == "train" and now - call.since > loop.hosting.longest_s:
                self._ray.kill(self._trainers[call.who])

    # Confirmation ----------------------------------------------------------------------------------------------

    def train_all(self, requests: Sequence[TrainingRequest], on_result: Callable[[int, TrainingResult], None]) -> None:
        """Train everything; a request whose device dies is tried once more, then is a crash."""
        waiting = [(index, 1) for index in range(len(requests))][::-1]
        idle = list(self.devices)
        calls: dict[Any, tuple[str, int, int]] = {}
        while waiting or calls:
            while waiting and idle:
                device, (index, attempt) = idle.pop(), waiting.pop()
                ref = self._trainers[device].train.remote(msgspec.json.encode(requests[index]))
                calls[ref] = (device, index, attempt)
            ready = self._ray.wait(list(calls), num_returns=1)[0][0]
            device, index, attempt = calls.pop(ready)
            idle.append(device)
            try:
                result = msgspec.json.decode(self._ray.get(ready), type=TrainingResult)
            except self._ray.exceptions.RayTaskError as error:
                result = TrainingResult("crash", 0.0, message=last_line(error))
            except self._ray.exceptions.RayError as error:
                self._trainers[device] = self._new_trainer(device)
                if attempt == 1:
                    waiting.append((index, 2))
                    continue
                result = TrainingResult("crash", 0.0, message=last_line(error))
            on_result(index, result)
