"""The processes behind the Ray backend: plain classes, wrapped by Ray in ``ray_backend``.

Records cross process borders as JSON bytes, so that a worker on another node needs the same metaloop version and
nothing else.
"""

from __future__ import annotations

import os

import msgspec

from metaloop.actors.messages import Ask, Decided
from metaloop.execution.hardware import device_name
from metaloop.execution.trainer import Trainer, TrainerSpec, make
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.models import ThinkingTerms
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult
from metaloop.vocabulary.space import Knob, Space


class Assignment(msgspec.Struct, frozen=True):
    """Which member a role process hosts from now on."""

    member: Member
    knobs: tuple[Knob, ...]
    seed: int
    colleagues: tuple[Member, ...]
    thinking: ThinkingTerms


class Paced:
    """A simulated trainer in real time: it takes ``pace`` real seconds for each second that it claims."""

    def __init__(self, trainer: Trainer, pace: float) -> None:
        self._trainer = trainer
        self._pace = pace
        self._clock = WallClock()

    def train(self, request: TrainingRequest) -> TrainingResult:
        """The simulated result, when its time has passed; its seconds are those that have."""
        result = self._trainer.train(request)
        seconds = result.seconds * self._pace
        self._clock.sleep(seconds)
        curve = tuple(CurvePoint(p.fraction, p.seconds * self._pace, p.bpb) for p in result.curve)
        return msgspec.structs.replace(result, seconds=seconds, curve=curve)


class TrainerProcess:
    """Holds one device, or a group of them, and a warm trainer."""

    def __init__(self, spec: bytes, gpu: bool) -> None:
        given = msgspec.json.decode(spec, type=TrainerSpec)
        trainer = make(given, gpu)
        self._hardware = device_name(gpu)
        self._trainer = Paced(trainer, given.pace) if hasattr(trainer, "simulate") else trainer

    def ready(self) -> str:
        """What the device is, once the trainer is warm."""
        return self._hardware

    def alive(self) -> None:
        """A sign of life, answered beside a training (see ``heartbeats``)."""

    def train(self, request: bytes) -> bytes:
        result: TrainingResult = self._trainer.train(msgspec.json.decode(request, type=TrainingRequest))
        return msgspec.json.encode(result)


class RoleProcess:
    """Hosts one member at a time; a run that ends leaves the process for the next run's member."""

    def assign(self, assignment: bytes) -> int:
        """Become the member; returns the process id."""
        from metaloop.actors.role_actor import RoleActor

        given = msgspec.json.decode(assignment, type=Assignment)
        self._actor = RoleActor(given.member, Space(given.knobs), given.seed, given.colleagues, given.thinking)
        return os.getpid()

    def alive(self) -> None:
        """A sign of life, answered while the member thinks."""

    def ask(self, ask: bytes) -> bytes:
        decided: Decided = self._actor.handle(msgspec.json.decode(ask, type=Ask))
        return msgspec.json.encode(decided)
