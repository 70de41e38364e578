"""What trainings tell a model of whole configurations: scores, guesses from curves that were cut short, seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from metaloop.brains.brain import Fingerprint, fingerprint
from metaloop.brains.encoding import Array, Encoding, Mask
from metaloop.vocabulary.records import Outcome, reading

NOISE, GUESS_NOISE = 0.001, 0.01
"""Variance of a score, and of a score guessed from the beginning of a curve, in units of the scores' own variance. All
of an org run train on one seed, so that scores differ by hardly anything but their configurations."""
SLOPE, SLOPE_WEIGHT = 0.5, 0.2
"""Prior of how much of a difference at the look is left at the end, and its weight as a sum of squares (bpb^2)."""
SHORTEST_S = 1e-3
_QUANTILE = NormalDist().inv_cdf


@dataclass(frozen=True)
class Evidence:
    """Trainings as arrays over n: ``scores`` in bpb (infinite where there is none), ``noise`` in units of the scores'
    variance, ``log_seconds`` of whole trainings, and which have a score of their own."""

    rows: Array
    scores: Array
    noise: Array
    log_seconds: Array
    scored: Mask


class Trainings:
    """The fold of outcomes: each configuration once, with its first score if it has one.

    ``look`` is the budget fraction at which curves are compared.
    """

    def __init__(self, encoding: Encoding, look: float) -> None:
        self._encoding = encoding
        self._look = look
        self._place: dict[Fingerprint, int] = {}
        self.rows: list[Array] = []
        self.outcomes: list[Outcome] = []
        self._readings: list[float] = []
        self.scored = 0

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, outcome: Outcome) -> int | None:
        """File an outcome; its place if it tells something new, else ``None``."""
        key = fingerprint(outcome.config)
        place = self._place.get(key)
        if place is not None and (self.outcomes[place].bpb is not None or outcome.bpb is None):
            return None
        self.scored += outcome.bpb is not None
        if place is not None:
            self.outcomes[place] = outcome
            return place
        self._place[key] = len(self.rows)
        self.rows.append(self._encoding.row(outcome.config))
        self.outcomes.append(outcome)
        point = reading(outcome.curve, self._look)
        self._readings.append(math.nan if point is None else point.bpb)
        return len(self.rows) - 1

    def evidence(self, most: int) -> Evidence:
        """The evidence of all trainings, or of ``most`` (at least 2): half of them the best, the others the latest."""
        bpb = np.array([math.nan if o.bpb is None else o.bpb for o in self.outcomes])
        scored = np.isfinite(bpb)
        readings = np.array(self._readings)
        stopped = np.array([o.state == "stopped" for o in self.outcomes])
        scores = np.where(scored, bpb, math.inf)
        guessed = stopped & np.isfinite(readings)
        known = scored & np.isfinite(readings)
        if known.any():
            scores[guessed] = _guess(readings[known], bpb[known], readings[guessed])
        noise = np.where(scored, NOISE, GUESS_NOISE)
        seconds = self._log_seconds(scored | stopped)
        every = Evidence(np.array(self.rows), scores, noise, seconds, scored)
        return every if len(bpb) <= most else _thinned(every, most)

    def _log_seconds(self, known: Mask) -> Array:
        """Of whole trainings: what was stopped would have gone on at its own pace, what failed tells nothing."""
        reached = [o.curve[-1].fraction if o.state == "stopped" and o.curve else 1.0 for o in self.outcomes]
        seconds = np.array([o.seconds for o in self.outcomes]) / np.array(reached)
        logs: Array = np.log(np.maximum(seconds, SHORTEST_S))
        return np.where(known, logs, np.median(logs[known]) if known.any() else 0.0)


def _guess(readings: Array, ends: Array, asked: Array) -> Array:
    """Final scores (bpb) for the readings ``asked``: a line through those that have both, its slope drawn to a half."""
    off = readings - readings.mean()
    slope = (off @ (ends - ends.mean()) + SLOPE * SLOPE_WEIGHT) / (off @ off + SLOPE_WEIGHT)
    guessed: Array = ends.mean() + min(1.0, max(0.0, slope)) * (asked - readings.mean())
    return guessed


def _thinned(every: Evidence, most: int) -> Evidence:
    """The best score is always kept: what was stopped may be guessed to be better, but nobody stands on a guess."""
    order = np.argsort(every.scores, kind="stable")
    surest = order[every.scored[order]][:1]
    best = np.concatenate([surest, order[~np.isin(order, surest)]])[: most // 2]
    rest = np.setdiff1d(np.arange(len(every.rows)), best)
    kept = np.sort(np.concatenate([best, rest[len(rest) - (most - len(best)) :]]))
    return Evidence(*(getattr(every, name)[kept] for name in every.__dataclass_fields__))


def normal_scores(values: Array) -> Array:
    """Ranks as normal quantiles, ties at their mean: what is far off or infinite bends no model (a Gaussian copula, as
    in Salinas, Shen and Perrone 2020)."""
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    _, same = np.unique(values, return_inverse=True)
    ranks = (np.bincount(same, order) / np.bincount(same))[same]
    return np.array([_QUANTILE((rank + 0.5) / len(values)) for rank in ranks.tolist()])
