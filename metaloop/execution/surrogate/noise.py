"""The noise of a training's scores: how much two seeds of one configuration differ, where, and how far together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from metaloop.execution.surrogate.model import SCORES, noise_basis

PRIOR_SHARE = 0.5
"""Share of the noise variance that all configurations on a seed have in common, until org runs say: the data order is
common to all of them, the initial weights only to those of equal shape."""
PRIOR_STRENGTH = 30.0
"""Trainings on shared seeds that weigh as much as the prior share."""
RIDGE = 2.0
"""Strength of the pull of the noise's slopes to 0, in repeated trainings at a slope of 1 per unit."""
SHRINK = 0.1
"""Share of identity in the correlation of the scores' noise: it keeps the factor well away from singular."""
MARGIN = 0.4
"""How far, in log standard deviation, noise may leave the range seen among the repeated configurations."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """See :data:`metaloop.execution.surrogate.model.ARRAYS`."""

    weights: Array
    range: Array
    factor: Array


def basis_of(fitted: Array, odds: Array) -> Array:
    """:func:`noise_basis` of many configurations: fitted scores (n, 6) and log odds of failure (n)."""
    return np.array([noise_basis(tuple(row), odd) for row, odd in zip(fitted.tolist(), odds.tolist(), strict=True)])


def fit_noise(scores: Array, group: npt.NDArray[np.int64], basis: Array) -> Noise:
    """From the spread within repeated configurations, by restricted maximum likelihood of a log-linear scale."""
    usable = np.isfinite(scores).all(1)
    scores, group, basis = scores[usable], group[usable], basis[usable]
    _, member, counts = np.unique(group, return_inverse=True, return_counts=True)
    many = np.flatnonzero(counts > 1)
    if len(many) < 5:
        weights = np.zeros((basis.shape[1], SCORES))
        weights[0] = np.log(0.03)
        return Noise(weights, np.log([0.02, 0.05]), np.eye(SCORES))
    means = np.array([scores[member == g].mean(0) for g in many])
    first = np.array([basis[member == g][0] for g in many])
    freedom = counts[many].astype(np.float64) - 1
    squares = np.array([((scores[member == g] - m) ** 2).sum(0) for g, m in zip(many, means, strict=True)])
    weights = np.stack([_log_linear(first, squares[:, k], freedom) for k in range(SCORES)], 1)
    fitted = first @ weights
    limits = np.quantile(fitted, (0.02, 0.98)) + np.array([-MARGIN, MARGIN])
    scaled = [
        (scores[member == g] - m) / np.exp(np.clip(f, *limits)) * np.sqrt(c / (c - 1))
        for g, m, f, c in zip(many, means, fitted, counts[many], strict=True)
    ]
    factor = np.linalg.cholesky(_correlation(np.concatenate(scaled)))
    return Noise(weights, limits, np.asarray(factor, dtype=np.float64))


def _log_linear(basis: Array, squares: Array, freedom: Array) -> Array:
    """Weights w of log sd = basis @ w, from sums of squares of ``freedom`` degrees each (a gamma regression)."""
    start = np.zeros(basis.shape[1])
    start[0] = 0.5 * np.log(squares.sum() / freedom.sum() + 1e-12)

    def loss(w: Array) -> tuple[float, Array]:
        log_sd = np.clip(basis @ w, -12, 5)
        ratio = squares * np.exp(-2 * log_sd)
        value = float((freedom * log_sd + 0.5 * ratio).sum() + 0.5 * RIDGE * (w[1:] ** 2).sum())
        gradient = basis.T @ (freedom - ratio)
        gradient[1:] += RIDGE * w[1:]
        return value, gradient

    found: Array = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return found


def _correlation(residuals: Array) -> Array:
    clipped = np.clip(residuals, -4, 4)
    correlation: Array = np.atleast_2d(np.corrcoef(clipped.T))
    mixed: Array = (1 - SHRINK) * correlation + SHRINK * np.eye(SCORES)
    return mixed


def seed_share(residuals: Array, seed: npt.NDArray[np.int64], group: npt.NDArray[np.int64]) -> float:
    """The intraclass correlation of standardized residuals over training seeds: a random effect for each seed.

    One-way analysis of variance with unequal groups (Searle, Casella and McCulloch 1992, section 3.6), on residuals
    from which each configuration's own mean has been taken where it has several seeds; drawn to the prior by
    :data:`PRIOR_STRENGTH`.
    """
    good = np.isfinite(residuals)
    residuals, seed, group = np.clip(residuals[good], -4, 4), seed[good], group[good]
    _, member, counts = np.unique(seed, return_inverse=True, return_counts=True)
    many = counts[member] > 1
    if many.sum() < 2:
        return PRIOR_SHARE
    residuals, member = residuals[many], np.unique(member[many], return_inverse=True)[1]
    sizes = np.bincount(member)
    means = np.bincount(member, residuals) / sizes
    n, k = len(residuals), len(sizes)
    if n <= k or k < 2:
        return PRIOR_SHARE
    within = ((residuals - means[member]) ** 2).sum() / (n - k)
    between = (sizes * (means - residuals.mean()) ** 2).sum() / (k - 1)
    size = (n - (sizes**2).sum() / n) / (k - 1)
    common = max(0.0, (between - within) / size)
    share = common / (common + within)
    strength = float(k - 1)
    mixed = (strength * share + PRIOR_STRENGTH * PRIOR_SHARE) / (strength + PRIOR_STRENGTH)
    return float(min(0.95, mixed))
