"""How good a surrogate is on configurations that it has not seen, by cross-validation over configurations.

A held-out training is predicted by the model file's own arithmetic. Splitting by configuration keeps the repeats of
one configuration on one side. Ranks are Spearman's; the best decile is of the held-out trainings by their real score,
and ``decile_ceiling`` is what a perfect surrogate would reach there, since a real score has noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
from scipy import stats

from metaloop.execution.nanogpt_trainer import knobs
from metaloop.execution.recording.design import Recorded
from metaloop.execution.surrogate.data import Array, Prepared, folds, prepare
from metaloop.execution.surrogate.features import Features
from metaloop.execution.surrogate.fit import Settings, Source, fit_prepared, fresh_features, meta_of
from metaloop.execution.surrogate.model import SCORES, TRAIN_S, Model, Prediction
from metaloop.vocabulary.space import Space

LEVELS = (0.5, 0.8, 0.95)
VAL = SCORES - 1
CEILING_DRAWS = 20
REPEATS = 3
FEWEST = 10
"""Below so many configurations a rank correlation says nothing."""


class Interval(msgspec.Struct, frozen=True):
    """Of the intervals of one level: the share of held-out scores inside, and the mean width in bpb."""

    level: float
    coverage: float
    width: float


class Quality(msgspec.Struct, frozen=True):
    """Held-out figures. Errors are in bpb, of single trainings, noise included."""

    trainings: int
    configurations: int
    folds: int
    rank: float
    decile_rank: float
    decile_ceiling: float
    repeated: int
    """Configurations of the best tenth (by mean score) with at least :data:`REPEATS` scores."""
    repeated_rank: float
    """Rank correlation over them, of their mean scores: less noise than in ``decile_rank``."""
    repeated_ceiling: float
    r2: float
    error: float
    decile_error: float
    decile_bias: float
    curve_error: tuple[float, ...]
    intervals: tuple[Interval, ...]
    decile_intervals: tuple[Interval, ...]
    seconds_error: float
    """Median of |predicted / recorded - 1| of the seconds a training takes, the machine's pace apart."""
    failures: int
    failure_auc: float
    failure_brier: float
    failure_brier_constant: float
    """Brier score of saying the mean rate each time."""

    def lines(self) -> list[tuple[str, str]]:
        """Name and figure, for a table."""
        return [
            ("held-out trainings / configurations / folds", f"{self.trainings} / {self.configurations} / {self.folds}"),
            ("rank correlation, all", f"{self.rank:.3f}"),
            ("rank correlation, best decile (ceiling)", f"{self.decile_rank:.3f} ({self.decile_ceiling:.3f})"),
            (f"the same, {self.repeated} configurations with {REPEATS} seeds", _with_ceiling(self)),
            ("R2 of log excess bpb", f"{self.r2:.3f}"),
            ("mean absolute error, bpb", f"{self.error:.4f}"),
            ("the same, best decile (bias)", f"{self.decile_error:.4f} ({self.decile_bias:+.4f})"),
            ("the same, points of the curve", " ".join(f"{e:.3f}" for e in self.curve_error)),
            *((f"{i.level:.0%} interval: coverage, width", f"{i.coverage:.1%}, {i.width:.3f}") for i in self.intervals),
            *(
                (f"{i.level:.0%} interval, best decile", f"{i.coverage:.1%}, {i.width:.3f}")
                for i in self.decile_intervals
            ),
            ("median relative error of the seconds", f"{self.seconds_error:.1%}"),
            ("failures: number, AUC", f"{self.failures}, {self.failure_auc:.3f}"),
            ("failures: Brier score (constant)", f"{self.failure_brier:.4f} ({self.failure_brier_constant:.4f})"),
        ]

    def table(self) -> str:
        """:meth:`lines` as aligned text."""
        width = max(len(name) for name, _ in self.lines())
        return "\n".join(f"{name:{width}}  {figure}" for name, figure in self.lines())


def cross_validate(
    rows: Sequence[Recorded], source: Source, settings: Settings | None = None, count: int = 5,
    say: Callable[[str], None] = lambda _: None,
) -> Quality:  # fmt: skip
    """Fit ``count`` times without one fold each, and judge all predictions of the folds left out."""
    features = Features(Space(knobs()), source.preset, source.vocab)
    prepared = prepare(rows, features)
    meta, fresh = meta_of(rows, source, features, prepared), fresh_features(features, rows)
    fold = folds(prepared, count)
    predictions: list[Prediction | None] = [None] * len(fold)
    for left_out in range(count):
        say(f"fold {left_out + 1} of {count}")
        model = fit_prepared(prepared.only(fold != left_out), meta, fresh, settings or Settings())
        for i in np.flatnonzero(fold == left_out):
            predictions[i] = model.predict(prepared.x[i].tolist())
    return judge([p for p in predictions if p is not None], prepared, count)


def held_out(model: Model, rows: Sequence[Recorded]) -> Quality:
    """The figures of one model on ``rows`` that it was not fitted on."""
    features = Features(Space(knobs()), model.meta.preset, model.meta.vocab)
    prepared = prepare(rows, features, model.meta.floor)
    return judge([model.predict(x.tolist()) for x in prepared.x], prepared, 1)


def judge(predictions: Sequence[Prediction], prepared: Prepared, count: int) -> Quality:
    """The figures of predictions, one for each training of ``prepared``."""
    truth = prepared.y[:, VAL]
    scored = np.isfinite(truth)
    fitted = np.array([p.scores for p in predictions])
    noise = np.array([p.noise[VAL] for p in predictions])[scored]
    total = np.sqrt(noise**2 + np.array([p.spread for p in predictions])[scored] ** 2)
    mean, real = fitted[scored, VAL], truth[scored]
    best = real <= np.quantile(real, 0.1)
    bpb = prepared.floor + np.exp(real)
    off = prepared.floor + np.exp(mean) - bpb
    failed, chance = prepared.failed, np.array([p.failure for p in predictions])
    known = np.isfinite(failed)
    late = np.log([p.train_s for p in predictions]) - prepared.y[:, TRAIN_S]
    seconds = np.abs(np.exp(late - np.nanmedian(late)) - 1)
    repeated = _repeated(mean, real, noise, prepared.group[scored])
    return Quality(
        trainings=len(truth),
        configurations=len(np.unique(prepared.group)),
        folds=count,
        rank=_rank(mean, real),
        decile_rank=_rank(mean[best], real[best]),
        decile_ceiling=_ceiling(real[best], noise[best]),
        repeated=repeated[0],
        repeated_rank=repeated[1],
        repeated_ceiling=repeated[2],
        r2=1 - float(((mean - real) ** 2).mean() / real.var()),
        error=float(np.abs(off).mean()),
        decile_error=float(np.abs(off[best]).mean()),
        decile_bias=float(off[best].mean()),
        curve_error=tuple(_curve_error(fitted[:, k], prepared.y[:, k], prepared.floor) for k in range(VAL)),
        intervals=_intervals(mean, total, real),
        decile_intervals=_intervals(mean[best], total[best], real[best]),
        seconds_error=float(np.nanmedian(seconds)),
        failures=int(failed[known].sum()),
        failure_auc=_auc(chance[known], failed[known]),
        failure_brier=float(((chance[known] - failed[known]) ** 2).mean()),
        failure_brier_constant=float(failed[known].var()),
    )


def _with_ceiling(quality: Quality) -> str:
    return f"{quality.repeated_rank:.3f} ({quality.repeated_ceiling:.3f})"


def _repeated(mean: Array, real: Array, noise: Array, group: npt.NDArray[np.int64]) -> tuple[int, float, float]:
    """Over the best tenth of the configurations, those with enough seeds: how many, rank correlation, its ceiling."""
    _, member, counts = np.unique(group, return_inverse=True, return_counts=True)
    fitted, score, sd = (np.bincount(member, values) / counts for values in (mean, real, noise))
    chosen = (score <= np.quantile(score, 0.1)) & (counts >= REPEATS)
    if chosen.sum() < FEWEST:
        return int(chosen.sum()), math.nan, math.nan
    ceiling = _ceiling(score[chosen], sd[chosen] / np.sqrt(counts[chosen]))
    return int(chosen.sum()), _rank(fitted[chosen], score[chosen]), ceiling


def _rank(a: Array, b: Array) -> float:
    return float(stats.spearmanr(a, b).statistic)


def _ceiling(real: Array, noise: Array) -> float:
    """The rank correlation of noiseless scores with noisy ones, were their noiseless spread that of ``real``."""
    rng = np.random.default_rng(0)
    shrink = math.sqrt(max(0.0, 1 - float((noise**2).mean() / real.var())))
    quiet = real.mean() + (real - real.mean()) * shrink
    return float(np.mean([_rank(quiet, quiet + noise * rng.standard_normal(len(noise))) for _ in range(CEILING_DRAWS)]))


def _curve_error(fitted: Array, real: Array, floor: float) -> float:
    there = np.isfinite(real)
    return float(np.abs(np.exp(fitted[there]) - np.exp(real[there])).mean()) if there.any() and floor else math.nan


def _intervals(mean: Array, sd: Array, real: Array) -> tuple[Interval, ...]:
    made = []
    for level in LEVELS:
        z = float(stats.norm.ppf(0.5 + level / 2))
        inside = np.abs(real - mean) <= z * sd
        width = np.exp(mean + z * sd) - np.exp(mean - z * sd)
        made.append(Interval(level, float(inside.mean()), float(width.mean())))
    return tuple(made)


def _auc(chance: Array, failed: Array) -> float:
    """Area under the ROC curve: the Mann-Whitney statistic of the failures' ranks."""
    bad = failed == 1
    if not bad.any() or bad.all():
        return math.nan
    ranks: npt.NDArray[np.float64] = stats.rankdata(chance)
    positives, negatives = int(bad.sum()), int((~bad).sum())
    return float((ranks[bad].sum() - positives * (positives + 1) / 2) / (positives * negatives))
