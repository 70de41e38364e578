"""The frozen records that travel between modules: what is proposed, trained, decided.

All are ``msgspec.Struct``: typed, immutable, compared by value, and encoded to one canonical JSON.
Units: seconds for time, bits per byte (bpb) for scores, US dollars for money.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

import msgspec

from metaloop.vocabulary.code import Edit, lines_by_file
from metaloop.vocabulary.space import Value

Config = dict[str, Value]
"""Overrides over the target's baseline: ``{knob: value}``, a changed file as ``{file:PATH: digest}``
(:mod:`metaloop.vocabulary.code`). A knob that is absent holds its default, a file its original text."""

TRUNK = "main"
"""Name of the trunk branch in an org run's repository."""

FinalState = Literal["ok", "stopped", "diverged", "oom", "timeout", "crash", "cheat"]
"""How a training can end. Only ``ok`` has a score; ``stopped`` was screened out; ``cheat``: changed code reached
for what is not its own, and ``message`` says for what."""

Purpose = Literal["incumbent", "candidate", "repeat", "combination", "integration", "canary"]
"""Why an experiment is run: to know the incumbent's score, to try a proposal once, to repeat it on another seed,
to try several held changes together, or to try a feature branch on trunk. A canary is no experiment of the
organization's: it tries the device."""


class Cost(msgspec.Struct, frozen=True):
    """The declared cost of a decision; the backend charges it."""

    seconds: float = 0.0
    tokens: int = 0
    usd: float = 0.0


_CANONICAL = msgspec.json.Encoder(order="deterministic")


def canonical(config: Mapping[str, Value]) -> str:
    """The one spelling of a set of changes: JSON with sorted keys, no spaces."""
    return _CANONICAL.encode(dict(config)).decode()


def digest(config: Mapping[str, Value]) -> str:
    """Identity of a change set or configuration: 12 hex digits of the SHA-256 of :func:`canonical`."""
    return hashlib.sha256(_CANONICAL.encode(dict(config))).hexdigest()[:12]


def effective(base: Mapping[str, Value], changes: Mapping[str, Value], defaults: Mapping[str, Value]) -> Config:
    """``changes`` applied over ``base``, with knobs that hold their default left out, sorted by name."""
    merged = {**base, **changes}
    return {name: merged[name] for name in sorted(merged) if defaults.get(name) != merged[name]}


class StopRule(msgspec.Struct, frozen=True):
    """Screening: at ``fraction`` of the training budget, stop unless validation is at most ``bpb_at_most``."""

    fraction: float
    bpb_at_most: float


class CurvePoint(msgspec.Struct, frozen=True, array_like=True):
    """A point of a learning curve: budget fraction, seconds since the start, validation bpb."""

    fraction: float
    seconds: float
    bpb: float


def reading(curve: tuple[CurvePoint, ...], fraction: float) -> CurvePoint | None:
    """The point of a curve that a stop rule at ``fraction`` judges: the first at or past it, and not the end."""
    point = next((p for p in curve if p.fraction >= fraction - 1e-9), None)
    return None if point is None or point.fraction >= 1.0 else point


class TrainingRequest(msgspec.Struct, frozen=True):
    """What a trainer is asked: one configuration, one seed, one budget, the splits to score."""

    config: Config
    seed: int
    score_on: tuple[str, ...] = ("val",)
    stop: StopRule | None = None
    budget_fraction: float = 1.0
    code: dict[str, str] = {}
    """Whole texts of the files that ``config`` changes, by path: such a training runs in a sandbox."""


class TrainingResult(msgspec.Struct, frozen=True):
    """What a trainer answers. ``seconds`` is device time, start-up and evaluation included; ``cpu_seconds`` the
    processor time of the trainer's process meanwhile (0 where it is not known)."""

    state: FinalState
    seconds: float
    bpb: dict[str, float] = {}
    curve: tuple[CurvePoint, ...] = ()
    steps: int = 0
    tokens: int = 0
    flops: float = 0.0
    message: str = ""
    cpu_seconds: float = 0.0
    hashes: dict[str, str] = {}
    """What a sandboxed training was made of: hashes of the data, the evaluator and every changed file."""


class Idea(msgspec.Struct, frozen=True):
    """A hint for proposers, with its source; without ``changes`` it is prose, for model brains only.

    ``link`` is where it can be read; ``proven``: an earlier org run confirmed its changes, so that scripted proposers
    try them first, whatever share of their proposals comes from ideas.
    """

    id: str
    text: str
    source: str
    changes: Config = {}
    link: str = ""
    proven: bool = False


class Proposal(msgspec.Struct, frozen=True):
    """A change set with a hypothesis. ``base`` is the commit it was made on; ``parts`` are proposals it combines."""

    id: str
    author: str
    branch: str
    base: str
    changes: Config
    hypothesis: str
    predicted_delta: float | None = None
    purpose: Purpose = "candidate"
    screen_fraction: float = 0.0
    screen_margin: float = 0.0
    screen_keep: float = 1.0
    parts: tuple[str, ...] = ()
    idea: str | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def described(self) -> Config:
        """What it does, from what it does and not from what is said of it: knobs with their values, files with the
        lines that come and go."""
        return {**self.changes, **lines_by_file(self.edits)}


class Experiment(msgspec.Struct, frozen=True):
    """One training of the target inside an org run. ``repeat`` names its seed within the run."""

    id: str
    config: Config
    repeat: int
    branch: str
    purpose: Purpose
    priority: int
    proposal: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What members may learn of a finished experiment.

    ``delta`` is bpb minus the branch head's bpb on the same seed when the result came in (negative is better),
    ``None`` where either is missing.
    """

    experiment: str
    proposal: str | None
    author: str
    team: str
    branch: str
    purpose: Purpose
    changes: Config
    config: Config
    repeat: int
    state: FinalState
    bpb: float | None
    delta: float | None
    seconds: float = 0.0
    curve: tuple[CurvePoint, ...] = ()
    edits: tuple[Edit, ...] = ()
    message: str = ""
    """Why there is no score, where that helps its author."""


class Head(msgspec.Struct, frozen=True):
    """A branch as its members see it: commit, configuration, its scores by repeat, merges so far."""

    branch: str
    commit: str
    config: Config
    scores: dict[int, float]
    merges: int


class Candidate(msgspec.Struct, frozen=True):
    """A proposal that waits for a merger's verdict, with scores by repeat: its own, those of the head of today, and
    those of the commit that it was made on.

    ``stale``: the head has moved since, so that merging would train nothing that was measured.
    ``combined``: it was part of a combination that was turned down, and now stands alone.
    """

    proposal: Proposal
    config: Config
    scores: dict[int, float]
    head_scores: dict[int, float]
    base_scores: dict[int, float]
    stale: bool
    combined: bool = False

    def deltas(self) -> tuple[float, ...]:
        """Paired differences (candidate − head, bpb) over the repeats both have, in order of repeat."""
        return paired(self.scores, self.head_scores)

    def base_deltas(self) -> tuple[float, ...]:
        """As :meth:`deltas`, against the commit that the proposal was made on: what a stale change itself brought."""
        return paired(self.scores, self.base_scores)


def paired(scores: dict[int, float], others: dict[int, float]) -> tuple[float, ...]:
    """Differences (scores − others) over the repeats both have, in order of repeat."""
    if len(scores) == 1:
        ((repeat, score),) = scores.items()
        return (score - others[repeat],) if repeat in others else ()
    return tuple([scores[r] - others[r] for r in sorted(scores) if r in others])
