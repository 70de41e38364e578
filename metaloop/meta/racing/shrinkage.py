"""Shrunken scores: what the best of several measured organizations is worth, once its luck is taken off.

The best of several measured means is the best partly by luck (the winner's curse), so picking parents by raw means
picks luck, and the more so the fewer org runs stand behind a mean. An empirical-Bayes estimate pulls every mean yᵢ with
standard error sᵢ towards the common mean, by how much of the spread between organizations the errors explain:

    Bᵢ = (k−3)/(k−1) · sᵢ²/(sᵢ² + τ²)        shrunken yᵢ = yᵢ − Bᵢ·(yᵢ − ȳ_w)

with weights 1/(sᵢ² + τ²) in the common mean ȳ_w. The spread τ² of true means is where the weighted sum of squares
around ȳ_w equals its k−1 degrees of freedom, and 0 where it is below that for every τ² (Paule and Mandel, "Consensus
values and weighting factors", Journal of Research of the NBS 87, 1982). The factor (k−3)/(k−1) accounts for τ² being
an estimate (Morris, "Parametric empirical Bayes inference", JASA 78, 1983, with one regressor, the mean). With equal
errors this is the James-Stein estimator around the mean, ``B = (k−3) s² / Σ(yᵢ−ȳ)²`` (Efron and Morris, "Data analysis
using Stein's estimator", JASA 70, 1975), at most (k−3)/(k−1); its total squared error is below that of the raw means
whatever the true means are (Baranchik, "A family of minimax estimators", Annals of Mathematical Statistics 41, 1970).
With fewer than four organizations there is no such estimator around an estimated mean, and nothing is shrunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

_DIGITS = 1e-12
"""How near to the root of τ² one must come, relative to its bracket."""


class Shrunken(msgspec.Struct, frozen=True):
    """``scores`` in the order given; ``centre`` is the common mean and ``spread`` the sd τ of true means around it."""

    scores: tuple[float, ...]
    centre: float
    spread: float


def shrink(means: Sequence[float], errors: Sequence[float]) -> Shrunken:
    """Mean scores shrunk towards their common mean; ``errors`` are their standard errors, in the same unit.

    Raises:
        ValueError: no means, not one error for each, a value that is not finite, or an error that is not above 0 (an
            organization whose scores never differ is known exactly, and is no draw from the same population).
    """
    if not means or len(means) != len(errors):
        raise ValueError(f"{len(means)} means need as many standard errors, and at least one; got {len(errors)}")
    if not all(map(math.isfinite, (*means, *errors))) or min(errors) <= 0:
        raise ValueError("means are finite, and standard errors finite and above 0")
    squares = [error * error for error in errors]
    between = _between(means, squares)
    centre = _centre(means, squares, between)
    k = len(means)
    trust = max(0, k - 3) / (k - 1) if k > 1 else 0.0
    pulls = [trust * square / (square + between) for square in squares]
    scores = tuple(y - pull * (y - centre) for y, pull in zip(means, pulls, strict=True))
    return Shrunken(scores, centre, math.sqrt(between))


def _centre(means: Sequence[float], squares: Sequence[float], between: float) -> float:
    weights = [1 / (square + between) for square in squares]
    return math.fsum(w * y for w, y in zip(weights, means, strict=True)) / math.fsum(weights)


def _excess(means: Sequence[float], squares: Sequence[float], between: float) -> float:
    """The weighted sum of squares around the common mean, beyond its degrees of freedom; falls with ``between``."""
    centre = _centre(means, squares, between)
    scaled = [(y - centre) ** 2 / (square + between) for y, square in zip(means, squares, strict=True)]
    return math.fsum(scaled) - (len(means) - 1)


def _between(means: Sequence[float], squares: Sequence[float]) -> float:
    """τ²: the root of :func:`_excess`, which lies below the whole sum of squares."""
    from scipy.optimize import brentq

    if _excess(means, squares, 0.0) <= 0:
        return 0.0
    middle = math.fsum(means) / len(means)
    most = math.fsum((y - middle) ** 2 for y in means)
    if most == 0:  # equal means, of which rounding made a difference
        return 0.0
    return float(brentq(lambda between: _excess(means, squares, between), 0.0, most, xtol=_DIGITS * most))
