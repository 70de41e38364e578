"""The processes behind the Ray backend: plain classes, wrapped by Ray in ``ray_backend``.

Records cross process borders as JSON bytes, so that a worker on another node needs the same metaloop version and
nothing else.
"""

from __future__ import annotations

import os

import msgspec

from metaloop.actors.messages import Ask, Decided
from metaloop.execution.trainer import TrainerSpec, make
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from metaloop.vocabulary.space import Knob, Space


class Assignment(msgspec.Struct, frozen=True):
    """Which member a role process hosts from now on."""

    member: Member
    knobs: tuple[Knob, ...]
    seed: int
    colleagues: tuple[Member, ...]


class TrainerProcess:
    """Holds one device and a warm trainer."""

    def __init__(self, spec: bytes, gpu: bool) -> None:
        self._trainer = make(msgspec.json.decode(spec, type=TrainerSpec), gpu)

    def ready(self) -> int:
        """The process id, once the trainer is warm."""
        return os.getpid()

    def train(self, request: bytes) -> bytes:
        result: TrainingResult = self._trainer.train(msgspec.json.decode(request, type=TrainingRequest))
        return msgspec.json.encode(result)


class RoleProcess:
    """Hosts one member at a time; a run that ends leaves the process for the next run's member."""

    def assign(self, assignment: bytes) -> int:
        """Become the member; returns the process id."""
        from metaloop.actors.role_actor import RoleActor

        given = msgspec.json.decode(assignment, type=Assignment)
        self._actor = RoleActor(given.member, Space(given.knobs), given.seed, given.colleagues)
        return os.getpid()

    def ask(self, ask: bytes) -> bytes:
        decided: Decided = self._actor.handle(msgspec.json.decode(ask, type=Ask))
        return msgspec.json.encode(decided)
