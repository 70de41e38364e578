"""One simulated training, from a prediction and a draw of chance to the result that a trainer answers.

What it keeps of the real trainer (nanogpt/train.py): the curve's points and when they are read, the stop rule, the
failed training that ends early, steps, tokens and FLOPs to the last digit. What it approximates: a training on a
share of the budget scores what the whole training's curve reads there, so it misses the good of its own cooldown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from operator import mul
from typing import NamedTuple

from metaloop.execution.nanogpt_trainer import Sizes
from metaloop.execution.surrogate.model import CURVE, DECIMALS, VAL, Model, Prediction
from metaloop.vocabulary.records import CurvePoint, FinalState, StopRule, TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import normal, python_stream
from metaloop.vocabulary.space import Value

MOST_LOG_EXCESS = 4.0
"""Bound on simulated log excess bpb: curves of failing trainings read up to about 50 bpb."""
_LOG_CURVE = tuple(math.log(fraction) for fraction in CURVE)


class Known(NamedTuple):
    """What is computed once for a configuration: its identity, every knob named, its sizes, its prediction."""

    digest: str
    full: dict[str, Value]
    sizes: Sizes
    prediction: Prediction


class Draw(NamedTuple):
    """The chance of one training: scores (log excess bpb), offsets (bpb), seconds at speed 1, and the budget fraction
    at which it fails, if it does."""

    scores: Sequence[float]
    holdout: float
    confirm: float
    train_s: float
    split_s: float
    fails_at: float | None


def expected(p: Prediction, model: Model) -> Draw:
    """No chance at all: every score its mean, and a failure where that is likelier than not."""
    fails_at = _quantile(model.failed_at, 0.5) if p.failure > 0.5 else None
    return Draw(p.scores, p.holdout, p.confirm, p.train_s, p.split_s, fails_at)


def common_noise(seed: int) -> list[float]:
    """What all configurations on a training seed share: six independent standard normals."""
    rng = python_stream(seed, "surrogate-seed")
    return [normal(rng) for _ in range(VAL + 1)]


def draw(known: Known, model: Model, common: Sequence[float], seed: int, noise: float) -> Draw:
    """The chance of a configuration's training on ``seed``, of which ``common`` is the :func:`common_noise`;
    ``noise`` multiplies the standard deviations."""
    p, rng = known.prediction, python_stream(seed, "surrogate", known.digest)
    shared, private = math.sqrt(model.seed_share), math.sqrt(1 - model.seed_share)
    raw = [shared * z + private * normal(rng) for z in common]
    scores = [
        mean + noise * sd * sum(map(mul, row, raw))
        for mean, sd, row in zip(p.scores, p.noise, model.noise_factor, strict=True)
    ]
    holdout, confirm, train, split = [noise * sd * normal(rng) for sd in model.own_noise]
    failed = rng.random() < p.failure
    fails_at = _quantile(model.failed_at, rng.random()) if failed else None
    seconds = (p.train_s * math.exp(train), p.split_s * math.exp(split))
    return Draw(scores, p.holdout + holdout, p.confirm + confirm, *seconds, fails_at)


class Walk:
    """One training of ``request`` on a device of ``speed``: it ends at the first of its failure, its stop rule and
    its budget."""

    def __init__(self, model: Model, request: TrainingRequest, sizes: Sizes, chance: Draw, speed: float) -> None:
        self.model, self.request, self.sizes, self.chance = model, request, sizes, chance
        self.steps = int(sizes.steps)
        self.train_s = chance.train_s * request.budget_fraction / speed
        self.split_s = chance.split_s / speed

    def result(self) -> TrainingResult:
        at, stop = self.chance.fails_at, self.request.stop
        failed = self.steps + 1 if at is None else min(self.steps, max(1, math.ceil(at * self.steps)))
        curve: list[CurvePoint] = []
        for point, step in self._points():
            if failed < step:
                break
            curve.append(point)
            if stop is not None and _stops(stop, curve):
                message = f"val bpb {point.bpb:.4f} above {stop.bpb_at_most:.4f} at {point.fraction:.3f}"
                return self._ended("stopped", step, point.seconds, curve, message)
        if failed <= self.steps:
            seconds = self._seconds(failed / self.steps, len(CURVE) - 1)
            seconds = max(seconds, curve[-1].seconds if curve else 0.0)
            return self._ended("diverged", failed, seconds, curve, f"training lost at step {failed}")
        return self._scored(curve)

    def _points(self) -> list[tuple[CurvePoint, int]]:
        """The points of the whole curve and their steps."""
        points: list[tuple[CurvePoint, int]] = []
        last = 0.0
        for k, step, fraction in _due(self.steps):
            last = max(last, self._seconds(fraction, k))
            points.append((CurvePoint(fraction, last, self._bpb(k)), step))
        return points

    def _seconds(self, fraction: float, k: int) -> float:
        """Seconds into the training at a budget fraction near the curve's point ``k``."""
        share = max(0.5 * fraction, fraction + self.model.curve_lag[k])
        return round(self.train_s * min(1.0, share), DECIMALS)

    def _bpb(self, k: int) -> float:
        share = self.request.budget_fraction
        log_excess = self.chance.scores[k] if share == 1 else self._curve_at(share * CURVE[k])
        return round(self._of_excess(log_excess), DECIMALS)

    def _of_excess(self, log_excess: float) -> float:
        return self.model.meta.floor + math.exp(min(log_excess, MOST_LOG_EXCESS))

    def _curve_at(self, fraction: float) -> float:
        """Log excess bpb of the whole training's curve at any fraction: straight lines over log fractions, the first
        one drawn on to the left as far as an eighth of its start."""
        x, ys = math.log(max(fraction, CURVE[0] / 8)), self.chance.scores
        k = next((i for i in range(1, len(CURVE)) if _LOG_CURVE[i] >= x), len(CURVE) - 1)
        left, right = _LOG_CURVE[k - 1], _LOG_CURVE[k]
        return ys[k - 1] + (ys[k] - ys[k - 1]) * (x - left) / (right - left)

    def _scored(self, curve: list[CurvePoint]) -> TrainingResult:
        share, final = self.request.budget_fraction, self.chance.scores[VAL]
        if share != 1:
            final += self._curve_at(share) - self.chance.scores[VAL - 1]
        val = self._of_excess(final)
        offsets = {"holdout": self.chance.holdout, "confirm": self.chance.confirm}
        bpb = {split: round(val + offsets.get(split, 0.0), DECIMALS) for split in self.request.score_on}
        seconds = round(curve[-1].seconds + self.split_s * len(bpb), DECIMALS)
        if any(score > self.model.meta.uniform for score in bpb.values()):
            message = f"ended at {max(bpb.values()):.4g} bpb, no better than guessing evenly"
            return self._ended("diverged", self.steps, seconds, curve, message)
        return self._ended("ok", self.steps, seconds, curve, "", bpb)

    def _ended(
        self, state: FinalState, steps: int, seconds: float, curve: list[CurvePoint], message: str,
        bpb: dict[str, float] | None = None,
    ) -> TrainingResult:  # fmt: skip
        tokens, flops = steps * self.sizes.tokens_per_step, steps * self.sizes.flops_per_step
        return TrainingResult(state, seconds, bpb or {}, tuple(curve), steps, tokens, flops, message, seconds)


@lru_cache(maxsize=4096)
def _due(steps: int) -> tuple[tuple[int, int, float], ...]:
    """Place in :data:`CURVE`, step and budget fraction of every point of a whole curve: the first step at or past
    its fraction. Where so few steps are made that one passes two points, the later one counts."""
    reached = [(k, math.ceil(due * steps), math.ceil(due * steps) / steps) for k, due in enumerate(CURVE)]
    return tuple(point for point in reached if point[0] + 1 == len(CURVE) or point[2] < CURVE[point[0] + 1])


def _stops(rule: StopRule, curve: Sequence[CurvePoint]) -> bool:
    """nanogpt/train.py, ``_judge``: the rule holds at the first point at or past its fraction, never at the end."""
    point = curve[-1]
    if point.fraction >= 1 or point.fraction < rule.fraction:
        return False
    if any(rule.fraction <= earlier.fraction for earlier in curve[:-1]):
        return False
    return point.bpb > rule.bpb_at_most


def _quantile(evenly: Sequence[float], share: float) -> float:
    """From evenly spaced quantiles, by straight lines between them."""
    place = share * (len(evenly) - 1)
    low = min(len(evenly) - 2, int(place))
    return evenly[low] + (evenly[low + 1] - evenly[low]) * (place - low)
