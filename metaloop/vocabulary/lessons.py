"""What earlier org runs found, as a later organization may be told it."""

from __future__ import annotations

from typing import Literal

import msgspec

from metaloop.vocabulary.records import Config, FinalState

LessonKind = Literal["win", "unsure", "dead end"]
"""``win``: merged, and better by the harness's own trainings; ``unsure``: merged, and not shown to be so; ``dead end``:
trained and not better, or without a score."""


class Lesson(msgspec.Struct, frozen=True):
    """A change set, what it was made over, and what came of it.

    ``delta`` is the mean difference in bpb (negative is better), ``None`` where no training gave a score; ``ci95`` its
    95 % t interval, ``None`` from a single value. ``n`` counts those values: of merges, pairs of the harness's
    trainings on the ``holdout`` split; of dead ends, trainings of members on ``val``; of what several org runs found,
    these ``org_runs``.
    ``state`` is how a training without a score ended. ``whole``: ``changes`` are all of a trunk, over the baseline.
    """

    id: str
    kind: LessonKind
    changes: Config
    base: Config
    delta: float | None
    ci95: tuple[float, float] | None
    n: int
    source: str
    org_runs: int = 1
    state: FinalState = "ok"
    whole: bool = False

    @property
    def one_seed(self) -> bool:
        """Whether it rests on a single training, or pair of trainings, so that noise may have made it."""
        return self.n < 2


class Lessons(msgspec.Struct, frozen=True):
    """A file of lessons. ``target`` is the identity of what was trained; elsewhere they mean nothing."""

    target: dict[str, str]
    lessons: tuple[Lesson, ...]
    gathered_from: tuple[str, ...] = ()
    """Every org run read: run folder's name, organization and seed."""
    version: str = ""
