"""The machine's pace is told apart from what trainings cost."""

from __future__ import annotations

import numpy as np
import pytest

from metaloop.execution.surrogate.pace import BLOCK, paces


def made(blocks: int, slow: np.ndarray, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(blocks * BLOCK, 12))
    cost = x @ rng.normal(scale=0.2, size=12) + 0.1 * x[:, 0] ** 2
    pace = np.repeat(slow, BLOCK)
    return x, cost + pace + rng.normal(scale=noise, size=len(x)), pace


def test_two_machines_are_told_apart() -> None:
    slow = np.array([0.5] * 6 + [0.0] * 14)
    x, seconds, truth = made(20, slow)
    assert paces(x, seconds) == pytest.approx(truth, abs=0.05)


def test_trainings_that_never_ended_change_nothing() -> None:
    x, seconds, truth = made(12, np.array([0.4] * 4 + [0.0] * 8))
    seconds[::7] = np.nan
    assert paces(x, seconds) == pytest.approx(truth, abs=0.06)


def test_one_pace_is_none() -> None:
    x, seconds, _ = made(10, np.zeros(10))
    assert np.abs(paces(x, seconds)).max() < 0.05
    few = slice(0, 2 * BLOCK - 1)
    assert not paces(x[few], seconds[few]).any()
