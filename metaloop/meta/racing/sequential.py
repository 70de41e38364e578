"""A paired test that may be looked at after every block: the one-sided t-test e-process, and its confidence sequence.

Let x₁ … xₙ be paired differences (ours − theirs, one for each org-run seed), normal with mean δσ and unknown sd σ. The
hypothesis is δ ≤ 0. What does not depend on the unit of measurement is the direction of the vector x, and the ratio
of its densities under δ and under 0 is a function of n and ``S = Σx / √Σx²`` alone (polar coordinates, r = |x|/σ):

    Lₙ(δ) = e^{−nδ²/2} · ∫ rⁿ⁻¹ e^{−r²/2 + rδS} dr / ∫ rⁿ⁻¹ e^{−r²/2} dr

It equals ``f_nct(t; n−1, δ√n) / f_t(t; n−1)`` at the t statistic of x (checked against SciPy in the tests), and is a
nonnegative martingale with mean 1 if δ = 0. The e-value is the mean of L over a few effect sizes δ > 0.

Why it is valid under repeated looks: Ville's inequality, P(Eₙ ≥ 1/α for any n, ever) ≤ α. Stopping, skipping looks and
going on for longer than planned cannot raise it, because the bound is on "ever". (L is a martingale for whoever knows
the directions x/|x| only. A rule that also looks at the unit may stop at an E of mean above 1, but the bound on "ever"
asks for no rule at all; Hendriksen, de Heide and Grünwald discuss it.) Why δ < 0 is covered: L grows with S
for δ > 0 and falls with S for δ < 0, so by Chebyshev's association inequality the conditional mean of the next
L(δ) under a negative effect is at most what it is under none. Unlike a group-sequential plan (Pocock, O'Brien and
Fleming) it needs no number of looks beforehand; unlike a sign test it uses the size of the differences.

What it takes for granted: differences that are normal. Those of two organizations of the same kind are symmetric, which
is nearly enough; a long tail on the losing side (rare disasters) makes the test accept too often, and no t test is
better there. bench/racing.py measures both.

Sources: Lai, "On confidence sequences", Annals of Statistics 4, 1976; Hendriksen, de Heide and Grünwald, "Optional
stopping with Bayes factors", Bayesian Analysis 16, 2021; Pérez-Ortiz, Lardy, de Heide and Grünwald, "E-statistics,
group invariance and anytime-valid testing", Annals of Statistics 52, 2024 (the likelihood ratio of the maximal
invariant is the growth-optimal e-process of this problem); Wang and Ramdas, "Anytime-valid t-tests and confidence
sequences for Gaussian means with unknown variance", arXiv 2310.03722, 2023 (what is valid in which filtration).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Floats: TypeAlias = NDArray[np.float64]

EFFECTS = (0.3, 0.6, 1.2)
"""Effect sizes (mean difference in sds of the paired differences) that the e-value bets on, in equal shares.

Small, medium and large: 20 % better at a coefficient of variation of 0.25 and no correlation is 0.57. At level 160 the
mixture then finds it within 70 pairs in nine cases of ten, the single best bet within 64 (metaloop.meta.racing.power).
An effect below half of the smallest bet is never found: the bet loses on average.
"""
_POINTS = 256
_WIDTHS = 8.0
_TAIL = 37.0
"""e⁻³⁷ is one digit below double precision: what lies further out does not count."""
_BISECTIONS = 45
"""Halvings of an interval of √n: below 1e−12."""


class Summary(NamedTuple):
    """Some paired differences, as far as the test needs them: how many, their sum and sum of squares."""

    n: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """Mean difference; NaN without any."""
        return self.total / self.n if self.n else math.nan

    @property
    def deviation(self) -> float:
        """Sample sd (n − 1); NaN with fewer than two."""
        if self.n < 2:
            return math.nan
        return math.sqrt(max(0.0, self.squares - self.total * self.mean) / (self.n - 1))

    @property
    def standardized(self) -> float:
        """S = Σx/√Σx², from −√n to √n; 0 where all differences are exactly 0, which is evidence for nothing."""
        if self.squares == 0.0:
            return 0.0
        bound = math.sqrt(self.n)
        return min(bound, max(-bound, self.total / math.sqrt(self.squares)))


def summarize(differences: Sequence[float]) -> Summary:
    """Count, sum and sum of squares."""
    return Summary(len(differences), math.fsum(differences), math.fsum(x * x for x in differences))


def e_value(differences: Sequence[float], effects: tuple[float, ...]) -> float:
    """Evidence against "the mean difference is not above zero": 1 with no values, ≥ 1/α rejects at α at any time."""
    n, standardized = len(differences), summarize(differences).standardized
    return math.exp(min(700.0, log_e_value(n, standardized, effects))) if n else 1.0


def log_e_value(n: int, standardized: float, effects: tuple[float, ...]) -> float:
    """Natural logarithm of the e-value of ``n`` ≥ 1 differences with the given S (:attr:`Summary.standardized`)."""
    return float(_log_e_values(np.array([n]), np.array([standardized]), effects)[0])


def _log_e_values(n: NDArray[np.int_], standardized: _Floats, effects: tuple[float, ...]) -> _Floats:
    deltas = np.asarray(effects)[:, None]
    logs = _log_moment(n, deltas * standardized) - n * deltas**2 / 2
    top = logs.max(axis=0)
    return np.asarray(top + np.log(np.exp(logs - top).mean(axis=0)))


def _log_moment(n: NDArray[np.int_], slope: _Floats) -> _Floats:
    """log of ∫ rⁿ⁻¹ e^{−r²/2 + cr} dr / ∫ rⁿ⁻¹ e^{−r²/2} dr for each slope c; ``n`` runs along the last axis.

    With r = eˢ the integrand is smooth on the whole line and dies out on both sides, where the trapezoid rule converges
    exponentially (Trefethen and Weideman, SIAM Review 56, 2014): 256 points give ten digits or more at any n.
    """
    root = np.sqrt(slope**2 + 4 * n)
    peak = np.where(slope > 0, (slope + root) / 2, 2 * n / (root - slope))
    width = 1 / np.sqrt(peak**2 + n)
    left, right = -(_WIDTHS * width + _TAIL / n), _WIDTHS * width
    grid = np.linspace(left, right, _POINTS) + np.log(peak)
    radius = np.exp(grid)
    exponent = n * grid - radius**2 / 2 + slope * radius
    top = exponent.max(axis=0)
    integral = np.exp(exponent - top).sum(axis=0) * (right - left) / (_POINTS - 1)
    norm = np.array([(k / 2 - 1) * math.log(2) + math.lgamma(k / 2) for k in n.tolist()])
    return np.asarray(top + np.log(integral) - norm)


def critical_sum(n: int, level: float, effects: tuple[float, ...]) -> float:
    """The S from which the e-value of ``n`` ≥ 1 differences is at least ``level`` > 1; infinity where n is too few.

    The e-value grows with S, so the test is this one comparison.
    """
    return float(critical_sums(max(64, 1 << (n - 1).bit_length()), level, effects)[n - 1])


@lru_cache(maxsize=256)
def critical_sums(most: int, level: float, effects: tuple[float, ...]) -> _Floats:
    """:func:`critical_sum` for 1, 2, …, ``most`` differences, by bisection; cached, as a race asks at every look."""
    n = np.arange(1, most + 1)
    goal, low, high = math.log(level), np.zeros(most), np.sqrt(n)
    possible = _log_e_values(n, high, effects) >= goal
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        above = _log_e_values(n, middle, effects) >= goal
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    sums = np.where(possible, high, math.inf)
    sums.flags.writeable = False
    return sums


def fewest(level: float, effects: tuple[float, ...], most: int) -> int | None:
    """The fewest differences, up to ``most``, with which the e-value can reach ``level`` at all; ``None`` if none."""
    return next((n for n in range(1, most + 1) if math.isfinite(critical_sum(n, level, effects))), None)


def critical_t(n: int, level: float, effects: tuple[float, ...]) -> float:
    """:func:`critical_sum` as a t statistic, ``t = S √(n−1) / √(n−S²)``; infinity where n is too few."""
    edge = critical_sum(n, level, effects) if n >= 2 else math.inf
    return edge * math.sqrt((n - 1) / (n - edge**2)) if edge < math.sqrt(n) else math.inf


def reached(summary: Summary, level: float, effects: tuple[float, ...]) -> bool:
    """Whether the e-value is at least ``level``."""
    return summary.n > 0 and summary.standardized >= critical_sum(summary.n, level, effects)


def confidence_sequence(
    differences: Sequence[float], alpha: float, effects: tuple[float, ...]
) -> tuple[float, float] | None:
    """An interval for the mean difference that holds it at all times at once with probability 1 − ``alpha``.

    The means that neither one-sided test, each at α/2, rejects: ``x̄ ± t*(n)·s/√n`` with :func:`critical_t` for t*. Lai
    (1976) has the same construction. ``None`` while there are too few values for any bound.
    """
    summary = summarize(differences)
    edge = critical_t(summary.n, 2 / alpha, effects)
    if math.isinf(edge):
        return None
    half = edge * summary.deviation / math.sqrt(summary.n)
    return summary.mean - half, summary.mean + half
