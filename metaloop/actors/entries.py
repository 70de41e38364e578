"""The entries of an org run's state: one record per proposal, experiment and branch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from metaloop.vocabulary.records import Config, Experiment, Proposal, TrainingResult

Status = Literal["review", "queued", "judging", "held", "combining", "merged", "discarded", "rejected"]
INTERRUPTED = "the run was interrupted"
"""Reason of a ``Lost`` event that does not count against the experiment."""


@dataclass(slots=True)
class ProposalState:
    """A proposal on its way from review to its end.

    ``key`` is the digest of ``config``; ``number`` counts proposals from 0, so that sets of numbers sort by age.
    ``silent`` are the members that were asked about it and gave no usable answer.
    """

    proposal: Proposal
    config: Config
    key: str
    number: int
    status: Status = "review"
    votes: dict[str, bool] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    wanted: int = 1
    combined: bool = False


@dataclass(slots=True)
class ExperimentState:
    """An experiment and its attempts; ``key`` is the digest of its configuration, ``final`` is set once
    (invariant 4)."""

    experiment: Experiment
    key: str
    device: str | None = None
    attempt: int = 0
    losses: int = 0
    started: float = 0.0
    final: str | None = None


@dataclass(slots=True)
class CanaryBook:
    """What an org run's canaries have shown so far, since its devices were reserved."""

    count: int = 0
    running: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Device to the number of the canary that it trains, and since when."""
    last: dict[str, tuple[float, TrainingResult]] = field(default_factory=dict)
    """Device to its last canary: when it ended, and what it came to; the latest comes last."""
    doubtful: dict[str, float] = field(default_factory=dict)
    """Device whose last canary was off, and the one before was not, to when that was."""
    good: list[TrainingResult] = field(default_factory=list)
    """Those that were not."""
    unproven: dict[str, list[str]] = field(default_factory=dict)
    """Device to the experiments that it finished since its last good canary."""
    set_aside: dict[str, str] = field(default_factory=dict)
    """Device that is no longer used to the reason."""


@dataclass(slots=True)
class BranchState:
    """A branch: where it stands (``key`` is the digest of ``config``), and where it left trunk."""

    name: str
    commit: str
    config: Config
    key: str
    fork: Config
    merges: int = 0
    since_merge: int = 0
