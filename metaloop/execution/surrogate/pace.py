"""How fast the machine was while a recording was made: taken off the durations before anything is learned from them.

A recording is made over days, on machines that differ and that others use too. Without this, a place that was visited
on a fast machine looks cheap: two machines of which one was 1.7 times as fast left a residual of 0.18 in log seconds
where 0.09 remains, and simulated org runs near the baseline came out half again too many trainings. The pace is the
median residual of each block of consecutive trainings from a ridge regression on the features and their squares,
both in turn; its median over the blocks is 0, and what a machine's own pace is, `metaloop calibrate` measures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BLOCK = 64
"""Consecutive trainings that are taken to have one pace: a few minutes."""
ROUNDS = 8
"""Of regression and pace; both change by less than 0.01 after five."""
RIDGE = 3.0
CLIP = 4.0
"""Standardized features are clipped: what a square makes of an outlier decides nothing."""

Array = npt.NDArray[np.float64]


def paces(x: Array, log_seconds: Array) -> Array:
    """The log pace (n,) of each training, from features (n, d) and log seconds (n,) with NaN where unknown; positive is
    slow. Zeros where there are fewer than two whole blocks: then nothing can be told apart."""
    blocks = np.arange(len(x)) // BLOCK
    known = np.isfinite(log_seconds)
    if len(x) < 2 * BLOCK or known.sum() < 2 * BLOCK:
        return np.zeros(len(x))
    z = np.clip((x - x.mean(0)) / (x.std(0) + 1e-6), -CLIP, CLIP)
    basis = np.column_stack([np.ones(len(x)), z, z**2])
    used = basis[known]
    normal = used.T @ used + RIDGE * np.eye(basis.shape[1])
    pace = np.zeros(blocks[-1] + 1)
    for _ in range(ROUNDS):
        weights = np.linalg.solve(normal, used.T @ (log_seconds - pace[blocks])[known])
        pace = _medians(log_seconds - basis @ weights, blocks)
        pace -= np.median(pace)
    found: Array = pace[blocks]
    return found


def _medians(residuals: Array, blocks: npt.NDArray[np.int64]) -> Array:
    """The median of each block; 0 where nothing in it is known."""
    found = np.zeros(blocks[-1] + 1)
    for block in range(len(found)):
        inside = residuals[(blocks == block) & np.isfinite(residuals)]
        found[block] = np.median(inside) if len(inside) else 0.0
    return found
