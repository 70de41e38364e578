"""One org run on Ray: the driver hosts its controller and turns commands into actor calls, answers into messages.

A call that is no longer among those under way is over, whatever its actor may still say: that is the fence behind which
a process that was given up, and comes back, can do no harm.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from metaloop.actors.messages import (
    ActorLost,
    Ask,
    Command,
    Decided,
    DeviceLeaving,
    DeviceLost,
    DeviceReady,
    DevicesAre,
    Drain,
    Message,
    Train,
    Trained,
    Wake,
    Woken,
)
from metaloop.execution.backend import Hosting
from metaloop.execution.heartbeats import Heartbeats, lease_s
from metaloop.execution.notice import GRACE_S, Notice
from metaloop.execution.ray_connection import last_line
from metaloop.execution.ray_nodes import Departures
from metaloop.execution.ray_roles import Roles
from metaloop.execution.ray_trainers import POLL_S, QUIET_S, Trainers, must_come_back
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.errors import Preempted
from metaloop.vocabulary.records import TrainingResult

MANY = 8
"""Calls under way from which on all answers that are there are taken at once."""


@dataclass
class _Call:
    """An actor call under way: a training, a question, a trainer that comes up, a member that takes up its part."""

    kind: Literal["train", "ask", "up", "assigned"]
    who: str
    since: float
    command: Ask | Train | None = None


class HostLoop:
    """Hosts one org run on processes that are there already."""

    def __init__(
        self, ray: Any, trainers: Trainers, roles: Roles, hosting: Hosting, notice: Notice, *, in_order: bool
    ) -> None:
        self._ray = ray
        self._trainers = trainers
        self._roles = roles
        self._hosting = hosting
        self._notice = notice
        self._in_order = in_order
        self._clock = WallClock(hosting.starts_at)
        self._heartbeats = Heartbeats(ray, lease_s(hosting.longest_s), POLL_S)
        self._departures = Departures(ray, trainers.nodes)
        self._calls: dict[Any, _Call] = {}
        self._timers: list[float] = []
        self._late: list[tuple[float, int, Decided]] = []
        """Decisions whose declared thinking time has not passed yet."""
        self._drain_until: float | None = None
        """Once notice was given: when to stop, whatever is still in training."""

    def run(self) -> None:
        """Run until the controller has ended; processes that die are replaced, and the controller is told.

        Raises:
            Preempted, BackendError: the run can be taken up again.
        """
        hosting = self._hosting
        heapq.heappush(self._timers, hosting.starts_at + POLL_S)
        next_poll = hosting.starts_at
        for leaving in self._follow_nodes(hosting.starts_at):  # before anything is begun there
            hosting.controller.handle(leaving, hosting.starts_at)
        self._execute(hosting.begin())
        self._execute(hosting.controller.handle(DevicesAre(dict(self._trainers.hardware)), self._clock.now()))
        while not hosting.controller.ended:
            messages = self._next()
            now = self._clock.now()
            if now >= next_poll:
                next_poll = now + POLL_S
                # Who leaves comes first: a device whose training has just ended would get another one.
                messages = [*self._follow_nodes(now), *messages, *hosting.poll(now)]
                self._kill_silent(now)
                self._check_devices(now)
                heapq.heappush(self._timers, next_poll)
            for message in messages:
                self._execute(hosting.controller.handle(message, self._clock.now()))
            if self._notice.given:
                self._drain()
        self._replace_thinkers()

    def _drain(self) -> None:
        """Notice was given: let what is in training end, for a while.

        Raises:
            Preempted: it has ended, or the time is up; the last sign of life says until when devices are charged.
        """
        controller, now = self._hosting.controller, self._clock.now()
        if self._drain_until is None:
            self._drain_until = now + GRACE_S
            controller.handle(Drain(), now)
        if not controller.ended and (controller.drained or now >= self._drain_until):
            self._hosting.poll(now)
            rest = sum(call.kind == "train" for call in self._calls.values())
            cut = f", {rest} trainings were cut off and will be trained again" if rest else ""
            raise Preempted(f"stopped on notice{cut}.")

    def _replace_thinkers(self) -> None:
        """Whoever still thinks about a question of this run would let the next one wait: a new process takes over."""
        for call in self._calls.values():
            if call.kind == "ask":
                self._roles.replace(call.who)

    def _execute(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Train):
                ref = self._trainers.train(command.device, command.request)
                self._calls[ref] = _Call("train", command.device, self._clock.now(), command)
            elif isinstance(command, Ask):
                self._calls[self._roles.ask(command)] = _Call("ask", command.actor, self._clock.now(), command)
            elif isinstance(command, Wake):
                heapq.heappush(self._timers, command.at)

    def _next(self) -> list[Message]:
        """Wait for the next answer or timer, and say what it means."""
        now = self._clock.now()
        due = min([*self._timers[:1], *(late[0] for late in self._late[:1])], default=now + POLL_S)
        timeout = max(0.0, due - now)
        refs = self._awaited()
        ready = self._ray.wait(refs, num_returns=1, timeout=timeout)[0] if refs else []
        if ready and len(refs) > MANY:
            # To look through hundreds of calls for each single answer would cost more than everything else.
            ready = self._ray.wait(refs, num_returns=len(refs), timeout=0)[0]
        if not refs:
            self._clock.sleep(timeout)
        messages = [message for ref in ready for message in self._answer(ref)]
        return messages + self._due()

    def _awaited(self) -> list[Any]:
        """The calls whose answers may come next."""
        refs = list(self._calls)
        questions = [ref for ref in refs if self._calls[ref].kind == "ask"] if self._in_order else []
        return questions[:1] or refs

    def _due(self) -> list[Message]:
        now = self._clock.now()
        messages: list[Message] = []
        while self._late and self._late[0][0] <= now:
            messages.append(heapq.heappop(self._late)[2])
        woken = False
        while self._timers and self._timers[0] <= now:
            heapq.heappop(self._timers)
            woken = True
        return [*messages, Woken()] if woken else messages

    def _answer(self, ref: Any) -> list[Message]:
        call = self._calls.pop(ref)
        try:
            value = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            return self._failed(call, last_line(error))
        except self._ray.exceptions.RayError as error:
            return self._died(call, last_line(error))
        if call.kind == "up":
            return self._came_up(call.who, value)
        if call.kind == "assigned":
            return []
        if isinstance(call.command, Train):
            result = msgspec.json.decode(value, type=TrainingResult)
            return [Trained(call.who, call.command.experiment.id, call.command.attempt, result)]
        decided = msgspec.json.decode(value, type=Decided)
        ready_at = call.since + decided.decision.cost.seconds
        if ready_at > self._clock.now():
            heapq.heappush(self._late, (ready_at, decided.ask, decided))
            return []
        return [decided]

    def _came_up(self, device: str, hardware: str) -> list[Message]:
        self._trainers.hardware[device] = hardware
        equipped: list[Message] = [DevicesAre({device: hardware})]
        return equipped if device in self._departures.idle_since else [*equipped, DeviceReady(device)]

    def _failed(self, call: _Call, reason: str) -> list[Message]:
        """The actor is well, the call raised: a trainer's is a crashed training, a brain's counts as its death."""
        if isinstance(call.command, Train):
            result = TrainingResult("crash", self._clock.now() - call.since, message=reason)
            return [Trained(call.who, call.command.experiment.id, call.command.attempt, result)]
        return [ActorLost(call.who, reason)]

    def _died(self, call: _Call, reason: str) -> list[Message]:
        now = self._clock.now()
        if call.kind in ("train", "up"):
            self._calls[self._trainers.restart(call.who)] = _Call("up", call.who, now)
            return [DeviceLost(call.who, reason)]
        self._calls[self._roles.revive(call.who)] = _Call("assigned", call.who, now)
        return [ActorLost(call.who, reason)]

    def _check_devices(self, now: float) -> None:
        """Give up once none of the devices that the run still pays for comes back; one that was set aside is no help.

        Raises:
            BackendError
        """
        held = self._hosting.controller.held
        away = self._departures.idle_since | {c.who: c.since for c in self._calls.values() if c.kind == "up"}
        must_come_back(now, {device: away[device] for device in held if device in away}, len(held))

    def _follow_nodes(self, now: float) -> list[Message]:
        """A device whose node will go gets nothing new; once that is no longer so, it is asked whether it is there."""
        at_work = {call.who: call.kind for call in self._calls.values() if call.kind in ("train", "up")}
        moves = self._departures.look(now, {who for who, kind in at_work.items() if kind == "train"})
        messages: list[Message] = [DeviceLeaving(device) for device in moves.leaving]
        for device in moves.back:
            if device not in at_work:
                self._calls[self._trainers.ready(device)] = _Call("up", device, now)
            elif at_work[device] == "train":  # the call says soon enough if the device went with its node
                messages.append(DeviceReady(device))
        return messages

    def _kill_silent(self, now: float) -> None:
        """Who trains far beyond any honest duration, or has let its lease run out, is killed: its call then fails."""
        coming = {c.who for c in self._calls.values() if c.kind == "assigned"}
        working = {f"{c.kind} {c.who}": c for c in self._calls.values() if c.command is not None}
        actors = {
            name: self._actor(call)
            for name, call in working.items()
            if now - call.since > QUIET_S and call.who not in coming
        }
        hung = [n for n, c in working.items() if c.kind == "train" and now - c.since > self._hosting.longest_s]
        for name in {*self._heartbeats.look(actors), *hung}:
            self._ray.kill(self._actor(working[name]))

    def _actor(self, call: _Call) -> Any:
        return self._trainers.of[call.who] if call.kind == "train" else self._roles.of(call.who)
