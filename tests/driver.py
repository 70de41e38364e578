"""A driver for controller tests: real controllers, real role actors, virtual time, a formula for a trainer.

Small on purpose: whoever wants a cluster's behaviour uses a backend; here every order of events is the test's own.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from metaloop.actors.controller import Controller
from metaloop.actors.messages import (
    ActorLost,
    Ask,
    Command,
    DeviceLost,
    DeviceReady,
    Message,
    Train,
    Trained,
    Wake,
    Woken,
)
from metaloop.actors.role_actor import RoleActor
from metaloop.actors.run_context import NOTHING_SPECIAL, Granted, RunContext
from metaloop.actors.state import OrgState, replay
from metaloop.files.journal import MemoryJournal
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.models import NO_MODELS, ThinkingTerms
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import python_stream
from metaloop.vocabulary.space import Knob, Space

SPACE = Space(
    (
        Knob("lr", "optimizer", "float", 0.001, 1e-4, 1e-1, True),
        Knob("beta", "optimizer", "float", 0.9, 0.5, 0.99),
        Knob("warmup", "schedule", "float", 0.0, 0.0, 0.5),
        Knob("depth", "architecture", "int", 2, 1, 8),
        Knob("activation", "architecture", "choice", "gelu", choices=("gelu", "relu2", "swiglu")),
        Knob("norm", "architecture", "bool", False, choices=(False, True)),
        Knob("decay", "regularization", "float", 0.1, 0.001, 1.0, True),
        Knob("init", "initialization", "float", 1.0, 0.1, 3.0, True),
        Knob("batch", "batch", "int", 64, 8, 256, True),
    )
)


def score(request: TrainingRequest, noise: float = 0.004) -> TrainingResult:
    """A bowl with an interaction: 3 bpb at the baseline, about 2.2 at best; extreme rates diverge."""
    config = {**SPACE.defaults(), **request.config}
    lr = math.log10(float(config["lr"]))
    if lr > -1.3:
        return TrainingResult("diverged", 0.4, message="loss is not finite")
    bpb = 2.2 + 0.25 * abs(lr + 2.0) ** 1.5 + 0.2 * abs(float(config["beta"]) - 0.8) + 0.1 * (not config["norm"])
    bpb += (
        0.05 * abs(math.log(float(config["batch"]) / 24))
        + {"gelu": 0.1, "relu2": 0.0, "swiglu": 0.03}[str(config["activation"])]
    )
    bpb += 0.1 * abs(float(config["warmup"]) - 0.2) * (1 if config["norm"] else 2)
    bpb += noise * random.Random(f"{request.seed}{sorted(request.config.items())}").gauss(0, 1)
    seconds = 1.0 + 0.1 * int(config["depth"])
    curve = tuple(CurvePoint(f, seconds * f, bpb + 1.0 * (1 - f)) for f in (0.125, 0.25, 0.5, 0.75, 1.0))
    if request.stop is not None:
        point = next(p for p in curve if p.fraction >= request.stop.fraction)
        if point.bpb > request.stop.bpb_at_most:
            return TrainingResult("stopped", point.seconds, curve=curve[: curve.index(point) + 1])
    return TrainingResult("ok", seconds, dict.fromkeys(request.score_on, bpb), curve)


@dataclass
class Faults:
    """Chances, drawn from one seed: a training loses its device; an ask loses its actor. Until ``until`` seconds."""

    seed: int = 0
    device: float = 0.0
    actor: float = 0.0
    until: float = math.inf


@dataclass
class Driver:
    """Runs one controller to its end; each of ``devices`` is a group of ``together``."""

    organization: Organization
    seed: int = 0
    budget_s: float = 60.0
    devices: int = 2
    together: int = 1
    train: Callable[[TrainingRequest], TrainingResult] = score
    faults: Faults = field(default_factory=Faults)
    think_s: float = 0.001
    granted: Granted = NOTHING_SPECIAL
    thinking: ThinkingTerms = NO_MODELS

    def __post_init__(self) -> None:
        self.journal = MemoryJournal()
        self.state = OrgState(teams={m.name: m.team for m in self.organization.members})
        self.rng = python_stream(self.faults.seed, "faults")
        self.paid: list[tuple[str, str, float, float]] = []
        """An independent account: (device, experiment, from, to)."""
        self._heap: list[tuple[float, int, Any]] = []
        self._count = 0
        self.now = 0.0
        self._build()

    def _build(self) -> None:
        context = RunContext(self.organization, SPACE, self.seed, self.state, self.journal, self.granted)
        self.controller = Controller(context)
        self.actors = {
            m.name: RoleActor(m, SPACE, self.seed, self.organization.members, self.thinking)
            for m in self.organization.members
        }

    def start(self) -> None:
        devices = tuple(f"d{i}" for i in range(self.devices))
        terms = ev.RunStarted(
            0.0, self.organization.name, "digest", self.seed, devices, self.budget_s, {}, "test", "0", self.together
        )
        self._execute(self.controller.start(terms))

    def run(self, until: Callable[[Driver], bool] = lambda _: False, most: int = 200_000) -> OrgState:
        """Deliver messages until the run has ended or ``until`` says so."""
        if not self.journal.events:
            self.start()
        for _ in range(most):
            if self.controller.ended or until(self):
                return self.state
            self.now, _, message = heapq.heappop(self._heap)
            self._execute(self.controller.handle(message, self.now))
        raise AssertionError(f"no end after {most} messages at {self.now} s")

    def crash_and_resume(self) -> None:
        """Kill controller and all processes; a new controller takes up the journal."""
        self._heap.clear()
        self.state = replay(self.journal.events, self.state.teams)
        self._build()
        self._execute(self.controller.resume(self.now))

    def _send(self, at: float, message: Message) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, message))

    def _hit(self, chance: float) -> bool:
        return self.now < self.faults.until and self.rng.random() < chance

    def _execute(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Wake):
                self._send(max(command.at, self.now), Woken())
            elif isinstance(command, Ask):
                self._ask(command)
            elif isinstance(command, Train):
                self._train(command)

    def _ask(self, ask: Ask) -> None:
        if self._hit(self.faults.actor):
            member = next(m for m in self.organization.members if m.name == ask.actor)
            self.actors[ask.actor] = RoleActor(member, SPACE, self.seed, self.organization.members)
            self._send(self.now + self.think_s, ActorLost(ask.actor, "killed"))
            return
        decided = self.actors[ask.actor].handle(ask)
        self._send(self.now + self.think_s + decided.decision.cost.seconds, decided)

    def _train(self, order: Train) -> None:
        result = self.train(order.request)
        end = self.now + result.seconds
        if self._hit(self.faults.device):
            end = self.now + result.seconds * self.rng.random()
            self._send(end, DeviceLost(order.device, "killed"))
            self._send(end + 0.5, DeviceReady(order.device))
            # What comes back from the dead must change nothing.
            self._send(end + 0.6, Trained(order.device, order.experiment.id, order.attempt, result))
        else:
            self._send(end, Trained(order.device, order.experiment.id, order.attempt, result))
        self.paid.append((order.device, order.experiment.id, self.now, end))
