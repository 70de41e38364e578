"""One org run in virtual time: a heap of events keyed (time, sequence), nothing else moves the clock.

Hosts the same controller and role actors as the Ray backend. A decision or training is worked out when it is
asked for, and its message is put on the heap at the virtual time of its arrival. Real time enters nowhere, and
ties are broken by the sequence in which events were made, so that one seed fixes the journal byte for byte.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from typing import Any

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
from metaloop.actors.role_actor import RoleActor
from metaloop.execution.backend import Hosting
from metaloop.execution.simulator.cluster import Cluster
from metaloop.execution.simulator.hardware import Machines
from metaloop.execution.simulator.misfortune import Misfortune
from metaloop.execution.simulator.thinking import Thoughts
from metaloop.execution.trainer import SimulatedTrainer
from metaloop.vocabulary.errors import BackendError

_Act = Callable[[Any], None]


class Simulation:
    """The event loop of one hosted org run."""

    def __init__(self, hosting: Hosting, trainer: SimulatedTrainer, devices: tuple[str, ...], cluster: Cluster) -> None:
        self._hosting = hosting
        self._trainer = trainer
        self._cluster = cluster
        self._delays = cluster.delays
        self._machines = Machines(cluster.hardware, hosting.seed)
        self._luck = Misfortune(cluster.faults, hosting.seed)
        self._thoughts = Thoughts(cluster.thinking, hosting.seed)
        self._places = {device: place for place, device in enumerate(devices)}
        self._members = {member.name: member for member in hosting.members}
        self._actors: dict[str, RoleActor] = {}
        self._heap: list[tuple[float, int, _Act, Any]] = []
        """When, in which sequence, what is done, and with what."""
        self._sequence = 0
        self._now = hosting.starts_at
        self._free_at = self._now
        """When the controller has dealt with everything it was given so far."""
        self._inbox: deque[Message] = deque()
        self._life = 0
        """Which life of the controller it is: what an earlier one set going reports to nobody."""
        self._training: dict[str, tuple[Train, int]] = {}
        """Device to what it trains, and the attempt's serial number: a fallen device's training never ends."""
        self._serial = 0
        self._falls: dict[str, int] = {}
        self._lives: dict[str, int] = {}
        """Device to the number of its process."""
        self._back_at: dict[str, float] = {}
        """Device to the time at which its process is back, or was last."""
        self._controller = hosting.controller
        self._controller_dies = cluster.faults.controller_deaths_per_hour > 0
        self._undisturbed = self._luck.messages_arrive and not self._controller_dies
        """Whether every message reaches the controller that waits for it, once."""

    def run(self) -> None:
        """Go on until the controller has ended.

        Raises:
            BackendError: nothing more will ever happen, but the org run has not ended.
        """
        self._plan_deaths()
        self._execute(self._hosting.begin())
        for idea in self._hosting.poll(self._now):
            self._deliver(idea, self._now)
        while not self._controller.ended:
            if not self._heap:
                raise BackendError(f"the org run waits for nothing at {self._now:.3f} s of simulated time")
            self._now, _, act, what = heapq.heappop(self._heap)
            act(what)

    def _at(self, time: float, act: _Act, what: Any = None) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (time, self._sequence, act, what))

    def _deliver(self, message: Message, time: float) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (time, self._sequence, self._hand_over, message))

    # The controller --------------------------------------------------------------------------------------------

    def _hand_over(self, message: Message) -> None:
        """Give the controller a message, or let it queue while the controller is busy."""
        if self._inbox or self._now < self._free_at:
            self._inbox.append(message)
            if len(self._inbox) == 1:
                self._when_free()
        else:
            self._handle(message)

    def _when_free(self) -> None:
        """Take the next message out of the queue as soon as the controller is free, if it lives until then."""
        self._at(self._free_at, self._take, self._life)

    def _take(self, life: int) -> None:
        if life == self._life:
            self._handle(self._inbox.popleft())
            if self._inbox:
                self._when_free()

    def _handle(self, message: Message) -> None:
        delays = self._delays
        before = self._hosting.commits() if delays.git_s else 0
        commands = self._controller.handle(message, self._now)
        self._free_at = self._now + delays.controller_s
        if delays.git_s:
            self._free_at += (self._hosting.commits() - before) * delays.git_s
        if commands:
            self._execute(commands)

    def _execute(self, commands: list[Command]) -> None:
        now = max(self._now, self._free_at)
        for command in commands:
            kind = type(command)
            if kind is Train:
                self._train(command, now)  # type: ignore[arg-type]
            elif kind is Ask:
                self._ask(command, now)  # type: ignore[arg-type]
            elif kind is Wake:
                self._deliver(Woken(), max(command.at, now))  # type: ignore[union-attr]

    def _send(self, message: Message, sent: float, delay: float) -> None:
        """A message to the controller, on a network that may lose or repeat it."""
        luck = self._luck
        if self._undisturbed:
            self._deliver(message, sent + delay)
            return
        arrives = luck.transit(sent, delay)
        self._to_this_life(message, arrives)
        again = luck.again(sent)
        if again is not None:
            self._to_this_life(message, arrives + again)

    def _to_this_life(self, message: Message, time: float) -> None:
        """Put a message on the heap; where controllers die, it reaches only the one that waits for it now."""
        if not self._controller_dies:
            self._deliver(message, time)
            return
        self._at(time, self._hand_over_to, (self._life, message))

    def _hand_over_to(self, addressed: tuple[int, Message]) -> None:
        life, message = addressed
        if life == self._life:
            self._hand_over(message)

    # Members ---------------------------------------------------------------------------------------------------

    def _ask(self, ask: Ask, now: float) -> None:
        """A member decides; a question that arrives twice is answered twice, with the same words."""
        delays = self._delays
        if self._undisturbed and not self._cluster.faults.role_death_chance:
            decided = self._decide(ask)
            thought = now + delays.ask_s + delays.decide_s + decided.decision.cost.seconds
            self._deliver(decided, thought + delays.answer_s)
            return
        arrives = self._luck.transit(now, delays.ask_s)
        if self._luck.role_dies(now):
            self._actors.pop(ask.actor, None)
            lost = ActorLost(ask.actor, "died in the simulation", ask.ask)
            self._send(lost, arrives, self._cluster.faults.role_restart_s)
            return
        decided = self._decide(ask)
        ready = arrives + delays.decide_s + decided.decision.cost.seconds
        self._send(decided, ready, delays.answer_s)
        again = self._luck.again(now)
        if again is not None:
            self._send(self._decide(ask), ready + again, delays.answer_s)

    def _decide(self, ask: Ask) -> Decided:
        actor = self._actors.get(ask.actor) or self._new_actor(ask.actor)
        decided = actor.handle(ask)
        scripted = self._members[ask.actor].brain == "scripted"
        return self._thoughts.charge(ask, decided) if scripted else decided

    def _new_actor(self, name: str) -> RoleActor:
        hosting = self._hosting
        terms = (hosting.space, hosting.seed, hosting.members, hosting.thinking)
        self._actors[name] = actor = RoleActor(self._members[name], *terms)
        return actor

    # Devices ---------------------------------------------------------------------------------------------------

    def _train(self, order: Train, now: float) -> None:
        """Work out the training, and when its result reaches the controller."""
        begins = max(self._luck.transit(now, self._delays.dispatch_s), self._back_at.get(order.device, 0.0))
        place = self._places[order.device]
        speed = self._machines.begin(place, begins)
        result = self._luck.spoil(self._trainer.simulate(order.request, speed), begins)
        self._serial += 1
        serial = self._serial
        self._training[order.device] = (order, serial)
        if result.seconds > self._hosting.longest_s:
            self._at(begins + self._hosting.longest_s, self._kill_hung, (order, serial))
            return
        done = Trained(order.device, order.experiment.id, order.attempt, result)
        self._at(begins + result.seconds, self._trained, (done, serial))

    def _trained(self, ended: tuple[Trained, int]) -> None:
        """The training is over, unless its device fell meanwhile; what comes back from the dead changes nothing."""
        done, serial = ended
        current = self._training.get(done.device)
        if current is None or current[1] != serial:
            if self._luck.ghost(self._now):
                self._send(done, self._now, self._delays.report_s)
            return
        del self._training[done.device]
        self._machines.end(self._places[done.device])
        self._send(done, self._now, self._delays.report_s)

    def _kill_hung(self, hung: tuple[Train, int]) -> None:
        order, serial = hung
        current = self._training.get(order.device)
        if current is not None and current[1] == serial:
            self._fall(order.device, self._cluster.faults.restart_s, "hung: killed")

    def _fall(self, device: str, away_s: float, reason: str) -> None:
        """The device's process is gone, with whatever it trained; it is back after ``away_s``."""
        if self._training.pop(device, None) is not None:
            self._machines.end(self._places[device])
        life = self._lives[device] = self._lives.get(device, 0) + 1
        self._send(DeviceLost(device, reason, life - 1), self._now, self._delays.report_s)
        self._back_at[device] = self._now + away_s
        self._at(self._back_at[device], self._back, device)

    def _back(self, device: str) -> None:
        """The device is ready, unless it has fallen again meanwhile."""
        if self._now >= self._back_at[device]:
            self._send(DeviceReady(device, self._lives[device]), self._now, self._delays.report_s)

    # Deaths ----------------------------------------------------------------------------------------------------

    def _plan_deaths(self) -> None:
        for device in self._places:
            self._plan_fall(device)
        self._plan_controller_death()

    def _plan_fall(self, device: str) -> None:
        number = self._falls[device] = self._falls.get(device, 0) + 1
        at, away = self._luck.device_falls(self._places[device], number, self._now)
        if at < math.inf:
            self._at(at, self._next_fall, (device, away))

    def _next_fall(self, fall: tuple[str, float]) -> None:
        device, away = fall
        self._fall(device, away, "fell in the simulation")
        self._plan_fall(device)

    def _plan_controller_death(self) -> None:
        at = self._luck.controller_dies(self._now)
        if at < math.inf:
            self._at(at, self._kill_controller)

    def _kill_controller(self, _what: None) -> None:
        """The controller's process dies, and with it what it had set going; a new one takes up the journal."""
        self._life += 1
        for device in list(self._training):
            del self._training[device]
            self._machines.end(self._places[device])
        self._actors.clear()
        self._inbox.clear()
        back = self._now + self._cluster.faults.controller_restart_s
        self._controller, commands = self._hosting.revive(self._now)
        self._free_at = back
        self._execute(commands)
        self._plan_controller_death()
