"""Shrunken scores: James-Stein where errors are equal, and nearer to the truth than the raw means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloop.meta.racing.shrinkage import shrink
from metaloop.vocabulary.seeds import numpy_stream

means = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=1, max_size=12)


def test_with_equal_errors_it_is_james_stein() -> None:
    """B = (k−3)·s²/Σ(y−ȳ)²."""
    y = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    error = 0.7
    pull = (len(y) - 3) * error**2 / sum((v - np.mean(y)) ** 2 for v in y)
    ours = shrink(y, [error] * len(y))
    assert ours.scores == pytest.approx([v - pull * (v - np.mean(y)) for v in y])
    assert ours.centre == pytest.approx(np.mean(y))
    assert ours.spread == pytest.approx(math.sqrt(np.var(y, ddof=1) - error**2))


def test_differences_within_the_errors_are_mostly_luck() -> None:
    """No spread beyond the errors: every mean goes (k−3)/(k−1) of the way to the common one."""
    ours = shrink([1.0, 1.1, 0.9, 1.05, 0.95], [1.0] * 5)
    assert ours.spread == 0.0
    assert ours.scores[1] == pytest.approx(1.1 - 0.1 / 2)


def test_the_less_certain_is_pulled_more_and_may_lose_its_place() -> None:
    ours = shrink([1.0, 1.1, 0.2, 0.4, 0.3, 0.5], [0.05, 0.5, 0.05, 0.05, 0.05, 0.05])
    assert ours.scores[1] < ours.scores[0]
    assert ours.scores[0] > 0.95


@pytest.mark.parametrize("given_means", [[2.0], [1.0, 2.0], [1.0, 2.0, 4.0]])
def test_fewer_than_four_stay_as_they_are(given_means: list[float]) -> None:
    assert shrink(given_means, [0.5] * len(given_means)).scores == tuple(given_means)


@settings(max_examples=40, deadline=None)
@given(means, st.data())
def test_it_stays_between_mean_and_centre(values: list[float], data: st.DataObject) -> None:
    errors = data.draw(st.lists(st.floats(0.01, 10), min_size=len(values), max_size=len(values)))
    ours = shrink(values, errors)
    for raw, score in zip(values, ours.scores, strict=True):
        low, high = sorted((raw, ours.centre))
        assert low - 1e-9 <= score <= high + 1e-9


@settings(max_examples=40, deadline=None)
@given(means, st.floats(-50, 50), st.sampled_from([0.01, 3.0, 100.0]))
def test_origin_and_unit_do_not_matter(values: list[float], origin: float, unit: float) -> None:
    errors = [0.1 + 0.2 * place for place in range(len(values))]
    moved = shrink([unit * (v + origin) for v in values], [unit * e for e in errors])
    expected = [unit * (score + origin) for score in shrink(values, errors).scores]
    assert moved.scores == pytest.approx(expected, rel=1e-6, abs=1e-6 * unit)


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_it_is_nearer_to_the_truth_than_the_raw_means(spread: float) -> None:
    rng = numpy_stream(0, "test-shrinkage", str(spread))
    raw, ours = 0.0, 0.0
    for _ in range(400):
        truth = spread * rng.standard_normal(8)
        errors = rng.uniform(0.5, 1.5, 8)
        measured = truth + errors * rng.standard_normal(8)
        raw += float(((measured - truth) ** 2).sum())
        ours += float(((np.array(shrink(measured.tolist(), errors.tolist()).scores) - truth) ** 2).sum())
    assert ours < (0.97 if spread == 2.0 else 0.9) * raw


def test_the_best_is_worth_less_than_it_seems() -> None:
    """The winner's curse: the raw mean of the best is too high on average, the shrunken one far less."""
    rng, raw, ours = numpy_stream(0, "test-shrinkage-winner"), [], []
    for _ in range(400):
        truth = 0.5 * rng.standard_normal(8)
        measured = truth + rng.standard_normal(8)
        scores = shrink(measured.tolist(), [1.0] * 8).scores
        raw.append(measured.max() - truth[measured.argmax()])
        best = int(np.argmax(scores))
        ours.append(scores[best] - truth[best])
    assert np.mean(raw) > 0.8
    assert abs(np.mean(ours)) < 0.5 * np.mean(raw)


@pytest.mark.parametrize(
    ("values", "errors", "said"),
    [
        ([], [], "at least one"),
        ([1.0, 2.0], [1.0], "got 1"),
        ([1.0, 2.0], [1.0, 0.0], "above 0"),
        ([1.0, math.nan], [1.0, 1.0], "finite"),
        ([1.0, 2.0], [1.0, math.inf], "finite"),
    ],
)
def test_bad_input_is_refused(values: list[float], errors: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        shrink(values, errors)
