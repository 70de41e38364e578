"""A recording as arrays: what the fit regresses on, and what it regresses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from metaloop.execution.recording.design import Recorded
from metaloop.execution.surrogate.features import Features
from metaloop.execution.surrogate.model import CURVE, OUTPUTS, SCORES, SPLIT_S, TRAIN_S
from metaloop.execution.surrogate.pace import paces
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import digest

FLOOR_BELOW = 0.2
"""The floor lies this share of (median - best) below the best score seen; 0.1 to 0.4 fit about equally well."""
LEAST_EXCESS = 1e-3
TARGETS = OUTPUTS.index("spread")
"""The first so many of :data:`metaloop.execution.surrogate.model.OUTPUTS` are read off a recording."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """n trainings with d features. ``y`` (n, TARGETS) is NaN where a training did not get that far.

    Log seconds are without the machine's pace (:mod:`metaloop.execution.surrogate.pace`). ``group`` numbers the
    configurations, ``seed`` are training seeds, ``failed`` is 1, 0 or NaN (stopped before it
    could tell), ``failed_at`` the budget fraction of each failure, ``lag`` (k, 5) see
    :data:`metaloop.execution.surrogate.model.ARRAYS`.
    """

    x: Array
    y: Array
    group: npt.NDArray[np.int64]
    seed: npt.NDArray[np.int64]
    failed: Array
    failed_at: Array
    lag: Array
    floor: float

    def only(self, keep: npt.NDArray[Any]) -> Prepared:
        """The trainings of a mask or of indices (``failed_at`` and ``lag`` whole: they are summaries)."""
        return Prepared(
            self.x[keep], self.y[keep], self.group[keep], self.seed[keep], self.failed[keep], self.failed_at,
            self.lag, self.floor,
        )  # fmt: skip


def prepare(rows: Sequence[Recorded], features: Features, floor: float | None = None) -> Prepared:
    """Arrays of the trainings of the whole budget among ``rows``; a model that is judged on them brings its ``floor``.

    Raises:
        TrainerError: too few trainings, or trainings of another preset or corpus.
    """
    used = [
        row for row in rows if row.request.budget_fraction == 1 and row.result.state in ("ok", "stopped", "diverged")
    ]
    scores = [row.bpb for row in used if row.bpb is not None]
    if floor is None and len(scores) < 40:
        raise TrainerError(
            f"{len(scores)} scored trainings are too few to fit a surrogate; record 40 at the very least."
        )
    _check_sizes(used, features)
    if floor is None:
        floor = min(scores) - FLOOR_BELOW * (float(np.median(scores)) - min(scores))
    vectors = {}
    for row in used:
        name = digest(row.request.config)
        if name not in vectors:
            full = features.whole(row.request.config)
            vectors[name] = features.vector(full, features.sizes(full))
    numbers = {name: i for i, name in enumerate(vectors)}
    x = np.array([vectors[digest(row.request.config)] for row in used])
    y = np.array([_targets(row, floor) for row in used])
    y[:, [TRAIN_S, SPLIT_S]] -= paces(x, y[:, TRAIN_S])[:, None]
    return Prepared(
        x=x,
        y=y,
        group=np.array([numbers[digest(row.request.config)] for row in used]),
        seed=np.array([row.request.seed for row in used]),
        failed=np.array([{"ok": 0.0, "diverged": 1.0}.get(row.result.state, math.nan) for row in used]),
        failed_at=np.array([_failed_at(row, features) for row in used if row.result.state == "diverged"]),
        lag=np.array([lag for row in used if (lag := _lag(row)) is not None]),
        floor=floor,
    )


def _check_sizes(rows: Sequence[Recorded], features: Features) -> None:
    for row in rows:
        of = features.sizes(features.whole(row.request.config))
        if row.result.steps and not math.isclose(row.result.flops, row.result.steps * of.flops_per_step, rel_tol=1e-6):
            raise TrainerError(
                f"training {row.index} took {row.result.flops / row.result.steps:.6g} FLOPs a step where preset "
                f"{features.preset} with {features.vocab} tokens takes {of.flops_per_step:.6g}. "
                "Name the preset and the vocabulary that were recorded."
            )


def _targets(row: Recorded, floor: float) -> list[float]:
    def log_excess(bpb: float | None) -> float:
        return math.nan if bpb is None else math.log(max(bpb - floor, LEAST_EXCESS))

    result, of_point = row.result, [math.nan] * len(CURVE)
    for point in result.curve:
        place = max((k for k, due in enumerate(CURVE) if point.fraction >= due), default=0)
        of_point[place] = log_excess(point.bpb)
    val = row.bpb
    offsets = [
        result.bpb[split] - val if val is not None and split in result.bpb else math.nan
        for split in ("holdout", "confirm")
    ]
    return [*of_point, log_excess(val), *offsets, *_log_seconds(row)]


def _log_seconds(row: Recorded) -> tuple[float, float]:
    """Log seconds of the training to its last point, and of scoring one split.

    Other processes inflate seconds but hardly processor seconds, so the seconds are scaled to those where known.
    """
    result = row.result
    if result.state != "ok" or not result.curve or not result.bpb:
        return math.nan, math.nan
    busy = min(1.0, result.cpu_seconds / result.seconds) if result.cpu_seconds else 1.0
    trained = result.curve[-1].seconds
    scored = max(1e-4, result.seconds - trained) / len(result.bpb)
    return math.log(max(1e-4, trained * busy)), math.log(scored * busy)


def _failed_at(row: Recorded, features: Features) -> float:
    of = features.sizes(features.whole(row.request.config))
    return min(1.0, row.result.steps / of.steps)


def _lag(row: Recorded) -> list[float] | None:
    curve = row.result.curve
    if row.result.state != "ok" or len(curve) != len(CURVE):
        return None
    return [point.seconds / curve[-1].seconds - point.fraction for point in curve]


def folds(prepared: Prepared, count: int) -> npt.NDArray[np.int64]:
    """The fold of each training, from its configuration alone, so that repeats are never on both sides."""
    order = np.random.default_rng(0).permutation(int(prepared.group.max()) + 1)
    of: npt.NDArray[np.int64] = order[prepared.group] % count
    return of


assert len(OUTPUTS) == TARGETS + 2
assert SCORES == 6
