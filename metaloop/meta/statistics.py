"""Statistics for few, paired, expensive values: the gains of org runs, or the pairs of one confirmation.

Which to use when

====================  ==============================================================================================
t interval            2 values and more: the default everywhere. Exact for normal values; training noise across
                      seeds is close to normal, and at n = 3 there is nothing better to be had.
sign-flip interval    6 values and more, where normality is doubted: exact for any symmetric noise.
sign-flip test        the same, as a p value; its smallest p is 2⁻ⁿ, so with 3 values it can never say 5 %.
one-sided paired t    "is this change better?", asked of one merge's confirmation pairs.
two-sided paired t    "do these two differ?", asked of two organizations' gains; goes with the t interval.
Holm's correction     several such questions at once: an organization against its parent and every control.
====================  ==============================================================================================

There is no percentile bootstrap here on purpose: it resamples n values as if they were the population, so at n = 3 its
"95 %" interval holds the true mean about three times in four (simulated in the tests; Hesterberg, "What Teachers Should
Know about the Bootstrap", The American Statistician 69(4), 2015, section 4 says why: it is too narrow by √((n−1)/n)
and by the missing t quantile).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from metaloop.vocabulary.intervals import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_EXACT = 20
"""Most values for which all 2ⁿ sign patterns are listed (a million: 8 MB, some 10 ms)."""


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean and two-sided t interval ``x̄ ± t·s/√n`` with n−1 degrees of freedom (Student, Biometrika 6, 1908).

    One value has no interval; no value has neither mean nor interval. ``Estimate.ci95`` holds the interval of
    whatever ``confidence`` was asked for.
    """
    from scipy.special import stdtrit

    mean, error = _mean_and_error(values)
    if error is None:
        return Estimate(mean, None, len(values))
    half = float(stdtrit(len(values) - 1, 0.5 + confidence / 2)) * error
    return Estimate(mean, (mean - half, mean + half), len(values))


def paired_interval(ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95) -> Estimate:
    """:func:`t_interval` of the differences ours − theirs, value by value.

    With common random numbers (same seed, same data order, same block of machines) the shared part of the noise
    drops out of the difference, so the interval is far narrower than that of two separate means.

    Raises:
        ValueError: the two do not have the same length.
    """
    return t_interval([a - b for a, b in zip(ours, theirs, strict=True)], confidence)


def t_test_below(deltas: Sequence[float]) -> float | None:
    """p value of the one-sided paired t test of "the mean difference is not below zero" (lower bpb is better).

    Student (1908). ``None`` with fewer than two values; where all are equal, 0 or 1 by their sign (½ at zero).
    """
    from scipy.special import stdtr

    mean, error = _mean_and_error(deltas)
    if error is None:
        return None
    if error == 0.0:
        return 0.5 if mean == 0.0 else float(mean > 0)
    return float(stdtr(len(deltas) - 1, mean / error))


def t_test(differences: Sequence[float]) -> float | None:
    """p value of the two-sided paired t test of "the mean difference is zero" (Student, 1908).

    ``None`` with fewer than two values; where all are equal, 1 at zero, else 0.
    """
    from scipy.special import stdtr

    mean, error = _mean_and_error(differences)
    if error is None:
        return None
    if error == 0.0:
        return float(mean == 0.0)
    return 2.0 * float(stdtr(len(differences) - 1, -abs(mean / error)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values corrected for how many there are, so that all claims at a level hold together at that level.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979): the
    k-th smallest of m counts m − k + 1 times, never less than a smaller one, at most 1. A test that could not be made
    (``None``) claims nothing, so it does not count among the m.
    """
    made = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, index) in enumerate(made):
        least = max(least, min(1.0, (len(made) - rank) * p))
        corrected[index] = least
    return corrected


def sign_flip_test(deltas: Sequence[float]) -> float | None:
    """Exact two-sided p value of "the noise is symmetric around zero" by flipping signs in all 2ⁿ ways.

    Fisher, "The Design of Experiments" (1935), section 21: under the hypothesis each difference is as likely to have
    come out with the other sign, so p is the share of sign patterns whose mean is at least as far from zero.
    ``None`` with no values or more than :data:`MOST_EXACT` (take :func:`t_interval` then).
    """
    import numpy as np

    n = len(deltas)
    if not 1 <= n <= MOST_EXACT:
        return None
    values = np.asarray(deltas, dtype=float)
    total = float(values.sum())
    flipped = total - 2.0 * _subset_sums(values)
    # Sums of the same numbers in another order differ in the last digits: they must count as equal.
    tolerance = 1e-12 * float(np.abs(values).sum())
    return float(np.mean(np.abs(flipped) >= abs(total) - tolerance))


def sign_flip_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Exact interval for the centre of symmetric noise: the centres that :func:`sign_flip_test` does not reject.

    Hartigan, "Using Subsample Values as Typical Values", JASA 64 (1969), theorem 1: the means of the 2ⁿ−1 non-empty
    subsets cut the line into 2ⁿ pieces that hold the centre with probability 2⁻ⁿ each. So the interval from the
    k-th smallest to the k-th largest subset mean holds it with probability 1 − 2k/2ⁿ; k is the largest that
    keeps ``confidence``. ``None`` where not even k = 1 does (95 % needs six values) or beyond :data:`MOST_EXACT`.
    """
    import numpy as np

    n = len(values)
    if not 1 <= n <= MOST_EXACT:
        return None
    k = math.floor((1.0 - confidence) / 2 * 2**n + 1e-9)
    if k < 1:
        return None
    sizes = _subset_sums(np.ones(n))[1:]
    means = np.sort(_subset_sums(np.asarray(values, dtype=float))[1:] / sizes)
    return float(means[k - 1]), float(means[-k])


def _mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and its standard error s/√n; NaN for no value, no error for one."""
    n = len(values)
    if n == 0:
        return math.nan, None
    mean = math.fsum(values) / n
    if n == 1:
        return mean, None
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1) / n)


def _subset_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of all 2ⁿ subsets, the empty one first: each value doubles the list."""
    import numpy as np

    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums
