"""Mean and 95 % t interval of a few paired differences, without importing SciPy (actors must start fast)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

T975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""97.5 % quantiles of Student's t for 1 to 15 degrees of freedom (any statistics table; checked against SciPy in
the tests). Beyond 15, 1.96·(1 + 0.62/df + …) by Cornish and Fisher (1937), first order."""


class Estimate(msgspec.Struct, frozen=True):
    """A mean; ``ci95`` is ``None`` with fewer than two values, ``mean`` is NaN with none."""

    mean: float
    ci95: tuple[float, float] | None
    n: int


def t975(df: int) -> float:
    """The 97.5 % quantile of Student's t with ``df`` >= 1 degrees of freedom, to about 0.1 %."""
    if df <= len(T975):
        return T975[df - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2)


def mean_interval(values: Sequence[float]) -> Estimate:
    """Mean and t interval ``mean ± t·s/√n`` of ``values`` (Student, 1908)."""
    n = len(values)
    if n == 0:
        return Estimate(math.nan, None, 0)
    mean = sum(values) / n
    if n == 1:
        return Estimate(mean, None, 1)
    variance = sum((v - mean) ** 2 for v in values) / (n - 1)
    half = t975(n - 1) * math.sqrt(variance / n)
    return Estimate(mean, (mean - half, mean + half), n)
