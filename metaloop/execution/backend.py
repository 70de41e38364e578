"""The backend seam: who hosts the actors, carries the messages and owns time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from metaloop.actors.controller import Controller
from metaloop.actors.messages import Command, Message
from metaloop.vocabulary.models import NO_MODELS, ThinkingTerms
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from metaloop.vocabulary.space import Space


@dataclass(frozen=True)
class Hosting:
    """An org run to host.

    ``begin`` starts (or resumes) the controller at run time ``starts_at`` and returns its first commands. ``poll``
    is called with the run time every second or so: it returns messages from outside (ideas that people added) and
    leaves a sign of life. ``revive`` makes a new controller from the journal after the old one died (at the given run
    time) and returns its first commands; ``commits`` counts the commits to the org run's repository so far.
    ``thinking`` is what model brains have to work with.
    """

    controller: Controller
    members: tuple[Member, ...]
    space: Space
    seed: int
    starts_at: float
    begin: Callable[[], list[Command]]
    poll: Callable[[float], list[Message]]
    longest_s: float
    revive: Callable[[float], tuple[Controller, list[Command]]]
    commits: Callable[[], int]
    thinking: ThinkingTerms = NO_MODELS


class Backend(Protocol):
    """Hosts one org run at a time on a fixed set of devices, which stay warm in between."""

    name: str
    devices: tuple[str, ...]

    def host(self, hosting: Hosting) -> None:
        """Run until the controller has ended."""
        ...

    def train_all(
        self,
        requests: Sequence[TrainingRequest],
        on_result: Callable[[int, TrainingResult], None],
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Train everything on all devices but those ``without``; ``on_result`` gets each request's index and result as
        it comes."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
