"""How many org runs a difference needs: asked before GPU-hours are spent.

Two answers stand side by side. ``fixed``: a paired t test that is looked at once, after a number of blocks set
beforehand; its power is exact, from the noncentral t distribution (Cohen, "Statistical Power Analysis for the
Behavioral Sciences", 2nd ed. 1988, chapter 2). ``sequential``: the test of a race (:mod:`.sequential`), looked at after
every block; no formula is exact for it, so courses of normal differences are drawn and counted. It must be granted
more blocks at most, and on average it stops after about as many or fewer; what it buys is that it may be looked at,
and that a larger difference than expected ends it early.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from metaloop.meta.racing.sequential import critical_sums
from metaloop.vocabulary.seeds import numpy_stream

_CHUNK = 64
"""Blocks drawn at a time: memory stays at courses × 64 numbers however long a race may last."""


class Question(msgspec.Struct, frozen=True):
    """A difference to be found.

    ``relative`` is the difference over the parent's mean score (0.2: a fifth better); ``variation`` the standard
    deviation of the paired differences over the same mean: c√(2(1−ρ)) for two organizations whose scores have
    coefficient of variation c and correlate by ρ within a block. ``alpha`` is the chance of a false acceptance in one
    comparison: the race's alpha over its challengers. ``power`` is the chance that is wanted to find the
    difference. ``most`` blocks can be had at all. ``effects`` is what the sequential test bets on.
    """

    relative: float
    variation: float
    alpha: float
    power: float
    most: int
    effects: tuple[float, ...]

    @property
    def effect(self) -> float:
        """The difference in standard deviations of the paired differences."""
        return self.relative / self.variation


class Need(msgspec.Struct, frozen=True):
    """Blocks, and GPU-hours of both organizations on them. ``None``: not within ``most`` blocks.

    ``fixed`` and ``sequential`` are blocks to grant; ``mean`` is how many the sequential test uses on average when it
    is granted that many.
    """

    fixed: int | None
    fixed_gpu_hours: float | None
    sequential: int | None
    sequential_gpu_hours: float | None
    mean: float | None
    mean_gpu_hours: float | None


def need(question: Question, gpu_hours: float, courses: int, seed: int) -> Need:
    """The answer, for org runs of ``gpu_hours`` each, two to a block; the sequential part from ``courses`` simulated
    ones (2,000 put the power within about 1.5 points).

    Raises:
        ValueError: a number in the question makes no sense; the message says which.
    """
    _check(question, gpu_hours, courses)
    fixed = fixed_blocks(question)
    sequential, mean = sequential_blocks(question, courses, seed)
    in_hours = [None if blocks is None else 2 * gpu_hours * blocks for blocks in (fixed, sequential, mean)]
    return Need(fixed, in_hours[0], sequential, in_hours[1], mean, in_hours[2])


def fixed_power(blocks: int, effect: float, alpha: float) -> float:
    """Chance that a one-sided paired t test at ``alpha`` finds ``effect`` after ``blocks`` ≥ 2 blocks."""
    from scipy.special import nctdtr, stdtrit

    degrees = blocks - 1
    return 1.0 - float(nctdtr(degrees, effect * math.sqrt(blocks), stdtrit(degrees, 1 - alpha)))


def fixed_blocks(question: Question) -> int | None:
    """The fewest blocks for which :func:`fixed_power` is enough, by bisection: power grows with blocks."""

    def enough(blocks: int) -> bool:
        return fixed_power(blocks, question.effect, question.alpha) >= question.power

    low, high = 1, max(2, question.most)
    if not enough(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def sequential_blocks(question: Question, courses: int, seed: int) -> tuple[int | None, float | None]:
    """The fewest blocks within which the share ``power`` of simulated courses is accepted, and the mean number used
    when that many are granted; ``None`` twice where not even ``most`` blocks suffice."""
    wanted = math.ceil(question.power * courses)
    times = np.sort(acceptance_times(question, courses, seed, until=wanted))
    granted = times[wanted - 1]
    if math.isinf(granted):
        return None, None
    return int(granted), float(np.minimum(times, granted).mean())


def acceptance_times(question: Question, courses: int, seed: int, until: int) -> NDArray[np.float64]:
    """For each of ``courses`` courses the block after which it was accepted; infinity where not within ``most``
    blocks. It is not gone on with for long once ``until`` courses were accepted."""
    rng = numpy_stream(seed, "racing-power")
    critical = critical_sums(question.most, 1 / question.alpha, question.effects)
    times, total, squares = np.full(courses, math.inf), np.zeros((courses, 1)), np.zeros((courses, 1))
    for begin in range(0, question.most, _CHUNK):
        width = min(_CHUNK, question.most - begin)
        draws = question.effect + rng.standard_normal((courses, width))
        totals, sums = total + draws.cumsum(axis=1), squares + (draws**2).cumsum(axis=1)
        over = totals / np.sqrt(sums) >= critical[begin : begin + width]
        fresh = over.any(axis=1) & np.isinf(times)
        times[fresh] = begin + 1 + over[fresh].argmax(axis=1)
        total, squares = totals[:, -1:], sums[:, -1:]
        if np.isfinite(times).sum() >= until:
            break
    return times


def _check(question: Question, gpu_hours: float, courses: int) -> None:
    wrong = {
        "the relative difference is above 0": not 0 < question.relative < math.inf,
        "the variation of the paired differences is above 0": not 0 < question.variation < math.inf,
        "alpha and power are between 0 and 1": not (0 < question.alpha < 1 and 0 < question.power < 1),
        "at least 2 blocks can be had": question.most < 2,
        "effects are above 0, and at least one": not question.effects or not min(question.effects) > 0,
        "an org run costs GPU-hours": not 0 < gpu_hours < math.inf,
        "at least 100 courses are simulated": courses < 100,
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise ValueError(message)
