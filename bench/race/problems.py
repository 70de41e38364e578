"""The races' problems: score tables of blocks × organizations, in which one organization may be truly better.

Organization 0 is the champion, 1 the planted one; the others are twins of the champion. ``planted`` multiplies the
scores of organization 1, so that its coefficient of variation stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Scores: TypeAlias = NDArray[np.float64]


class Problem(Protocol):
    """Draws whole score tables."""

    @property
    def name(self) -> str: ...

    def draw(self, rng: np.random.Generator, blocks: int, organizations: int) -> Scores:
        """Scores of twins, blocks × organizations, in the unit of a mean score of 1."""
        ...


@dataclass(frozen=True)
class Normal:
    """Normal scores of a coefficient of variation, correlated within a block."""

    variation: float
    correlation: float

    @property
    def name(self) -> str:
        return f"normal, cv {self.variation:g}, correlation {self.correlation:g}"

    def draw(self, rng: np.random.Generator, blocks: int, organizations: int) -> Scores:
        shared = rng.standard_normal((blocks, 1))
        own = rng.standard_normal((blocks, organizations))
        mixed = np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * own
        return np.asarray(1 + self.variation * mixed)


@dataclass(frozen=True)
class Bootstrapped:
    """Recorded org runs: a block is a recorded org-run seed, drawn with replacement, and its twins in random order, so
    that all are exchangeable and the pairing within a seed is kept."""

    organization: str
    table: Scores

    @property
    def name(self) -> str:
        return f"org runs of {self.organization}"

    def draw(self, rng: np.random.Generator, blocks: int, organizations: int) -> Scores:
        rows = self.table[rng.integers(len(self.table), size=blocks)]
        return np.asarray(rng.permuted(rows, axis=1)[:, :organizations] / self.table.mean())


def plant(scores: Scores, gain: float) -> Scores:
    """The same scores with organization 1 better by ``gain`` (0.2: a fifth)."""
    better = scores.copy()
    better[..., 1] *= 1 + gain
    return better


@dataclass(frozen=True)
class Shape:
    """What a table of twins is like. ``correlation`` is within a block; ``kurtosis`` (excess) of paired differences."""

    mean: float
    variation: float
    correlation: float
    skewness: float
    kurtosis: float


def shape(table: Scores) -> Shape:
    """One-way analysis of variance of blocks × twins (Shrout and Fleiss, Psychological Bulletin 86, 1979, ICC(1,1));
    the correlation may come out below 0."""
    from scipy import stats

    twins = table.shape[1]
    between = twins * table.mean(axis=1).var(ddof=1)
    within = table.var(axis=1, ddof=1).mean()
    correlation = (between - within) / (between + (twins - 1) * within)
    pairs = (table[:, 0 : twins - 1 : 2] - table[:, 1:twins:2]).ravel()
    variation = table.std(ddof=1) / table.mean()
    skewness, kurtosis = float(stats.skew(table, axis=None)), float(stats.kurtosis(pairs))
    return Shape(float(table.mean()), float(variation), float(correlation), skewness, kurtosis)
