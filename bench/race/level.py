"""How often the test of a race rejects a true hypothesis at some look, for differences that are not normal, and with
org runs that crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from bench.race.problems import Problem, Scores
from metaloop.meta.racing.sequential import critical_sums


class Draw(Protocol):
    def __call__(self, rng: np.random.Generator, size: tuple[int, int]) -> Scores: ...


def _normal(rng: np.random.Generator, size: tuple[int, int]) -> Scores:
    return rng.standard_normal(size)


def _heavy(rng: np.random.Generator, size: tuple[int, int]) -> Scores:
    return rng.standard_t(3, size)


def _signs(rng: np.random.Generator, size: tuple[int, int]) -> Scores:
    return np.asarray(rng.integers(0, 2, size) * 2.0 - 1.0)


def _gamma(rng: np.random.Generator, size: tuple[int, int], shape: float) -> Scores:
    return np.asarray(rng.standard_gamma(shape, size) - shape)


SHAPES: Mapping[str, Draw] = {
    "normal": _normal,
    "Student's t, 3 degrees": _heavy,
    "±1 (all of one size)": _signs,
    "lucky strikes, skewness +1": lambda rng, size: _gamma(rng, size, 4.0),
    "disasters, skewness −½": lambda rng, size: -_gamma(rng, size, 16.0),
    "disasters, skewness −1": lambda rng, size: -_gamma(rng, size, 4.0),
    "disasters, skewness −2": lambda rng, size: -_gamma(rng, size, 1.0),
}
"""Differences of mean 0."""
CRASHES = (0.01, 0.05, 0.2, 0.5)


def between(rng: np.random.Generator, ours: Problem, theirs: Problem, size: tuple[int, int]) -> Scores:
    """Differences of two different organizations that are equally good on average."""
    both = [problem.draw(rng, size[0] * size[1], 1).reshape(size) for problem in (ours, theirs)]
    return np.asarray(both[0] - both[1])


def share_rejected(pairs: Scores, level: float, effects: tuple[float, ...], least: int) -> float:
    """Share of the courses (courses × blocks) whose e-value is at least ``level`` at any look from ``least`` on."""
    squares = (pairs**2).cumsum(axis=1)
    sums = pairs.cumsum(axis=1) / np.sqrt(squares)
    critical = critical_sums(pairs.shape[1], level, effects)
    return float((sums >= critical)[:, least - 1 :].any(axis=1).mean())


def share_rejected_with_crashes(
    rng: np.random.Generator, size: tuple[int, int], crash: float, level: float, effects: tuple[float, ...], least: int
) -> float:
    """The same for normal twins of which each loses the share ``crash`` of its org runs: what
    ``metaloop.meta.racing.pairing.differences`` says at every look, for all courses at once."""
    pairs = rng.standard_normal(size)
    ours, theirs = rng.random(size) >= crash, rng.random(size) >= crash
    both, sign = ours & theirs, ours.astype(int) - theirs.astype(int)
    worst = np.maximum.accumulate(np.where(both, np.abs(pairs), 0.0), axis=1)
    worst[worst == 0.0] = 1.0
    known = np.where(both, pairs, 0.0)
    total = known.cumsum(axis=1) + worst * sign.cumsum(axis=1)
    squares = (known**2).cumsum(axis=1) + worst**2 * np.abs(sign).cumsum(axis=1)
    count = (ours | theirs).cumsum(axis=1)
    critical = np.concatenate([[np.inf], critical_sums(size[1], level, effects)])[count]
    over = total >= critical * np.sqrt(np.maximum(squares, np.finfo(float).tiny))
    return float(over[:, least - 1 :].any(axis=1).mean())
