"""The e-value is the likelihood ratio it claims to be, and its promises hold at all looks at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from metaloop.meta.racing.sequential import (
    EFFECTS,
    Summary,
    confidence_sequence,
    critical_sum,
    critical_sums,
    critical_t,
    e_value,
    fewest,
    log_e_value,
    reached,
    summarize,
)
from metaloop.vocabulary.seeds import numpy_stream

ALPHA = 0.05
LEVEL = 1 / ALPHA
COURSES, LENGTH = 2000, 120
SLACK = 4 * math.sqrt(ALPHA * (1 - ALPHA) / COURSES)
"""Four standard errors of a share of 5 %."""


def normal_courses(effect: float, *stream: str) -> NDArray[np.float64]:
    return effect + numpy_stream(7, "test-sequential", *stream).standard_normal((COURSES, LENGTH))


def sums_of(courses: NDArray[np.float64]) -> NDArray[np.float64]:
    """S at every look of every course."""
    return courses.cumsum(axis=1) / np.sqrt((courses**2).cumsum(axis=1))


def share_ever_rejected(courses: NDArray[np.float64]) -> float:
    return float((sums_of(courses) >= critical_sums(LENGTH, LEVEL, EFFECTS)).any(axis=1).mean())


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("n", [2, 3, 5, 10, 40, 120])
@pytest.mark.parametrize("t", [-3.0, -0.5, 0.0, 1.0, 2.5, 5.0])
def test_it_is_the_ratio_of_the_noncentral_and_the_central_t_density(effect: float, n: int, t: float) -> None:
    standardized = t * math.sqrt(n / (n - 1 + t * t))
    theirs = stats.nct.pdf(t, n - 1, effect * math.sqrt(n)) / stats.t.pdf(t, n - 1)
    # Far out on the left SciPy's noncentral density has lost its digits.
    assert math.exp(log_e_value(n, standardized, (effect,))) == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("effect", EFFECTS)
def test_one_difference_only_has_a_sign(effect: float) -> None:
    for sign in (-1.0, 1.0):
        expected = 2 * stats.norm.cdf(sign * effect)
        assert e_value([3.7 * sign], (effect,)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [2, 3, 8, 50])
def test_its_mean_is_one_without_a_difference(n: int) -> None:
    """Exactly, over the null distribution of S: S²/n is a beta variable, so S is one on an interval."""
    angle = np.linspace(0, np.pi, 402)[1:-1]
    density = np.sin(angle) ** (n - 2)
    values = [math.exp(log_e_value(n, math.sqrt(n) * math.cos(a), EFFECTS)) for a in angle]
    assert np.average(values, weights=density) == pytest.approx(1.0, abs=2e-3)


def test_it_is_the_mean_over_effects() -> None:
    pairs = [0.3, 1.2, -0.4, 0.9]
    assert e_value(pairs, EFFECTS) == pytest.approx(np.mean([e_value(pairs, (effect,)) for effect in EFFECTS]))


@settings(deadline=None)
@given(st.integers(1, 200), st.floats(-1, 1), st.floats(-1, 1))
def test_it_grows_with_the_standardized_sum(n: int, one: float, other: float) -> None:
    low, high = sorted((one * math.sqrt(n), other * math.sqrt(n)))
    assert log_e_value(n, low, EFFECTS) <= log_e_value(n, high, EFFECTS) + 1e-9


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=1, max_size=30), st.floats(1e-3, 1e3))
def test_the_unit_does_not_matter(pairs: list[float], unit: float) -> None:
    scaled = [pair * unit for pair in pairs]
    assert e_value(scaled, EFFECTS) == pytest.approx(e_value(pairs, EFFECTS), rel=1e-6)


def test_no_evidence_without_differences() -> None:
    assert e_value([], EFFECTS) == 1.0
    assert e_value([0.0] * 20, EFFECTS) < 1.0
    assert not reached(summarize([]), LEVEL, EFFECTS)
    assert math.isnan(summarize([]).mean)
    assert math.isnan(summarize([1.0]).deviation)


@pytest.mark.parametrize("n", [4, 20])
def test_the_next_mean_is_the_value_now_without_a_difference_and_less_with_a_negative_one(n: int) -> None:
    """Martingale and supermartingale: the mean of E after one more difference, given those so far (whose unit is not
    known: x/|x| is all that the past says, so the radius is drawn from what it may be)."""
    rng = numpy_stream(3, "test-sequential-martingale", n)
    past = rng.standard_normal(n) + 0.4
    now = math.exp(log_e_value(n, summarize(past.tolist()).standardized, EFFECTS))
    direction = past / math.sqrt(float((past**2).sum()))
    for effect in (0.0, -0.5):
        # The density of the radius, given the direction, is r^(n−1) exp(−r²/2 + r·effect·S).
        grid = np.linspace(1e-6, 5 + 3 * math.sqrt(n), 2000)
        exponent = (n - 1) * np.log(grid) - grid**2 / 2 + grid * effect * direction.sum()
        weights = np.exp(exponent - exponent.max())
        radius = rng.choice(grid, size=600, p=weights / weights.sum())
        following = rng.standard_normal(600) + effect
        total = radius * direction.sum() + following
        sums = total / np.sqrt(radius**2 + following**2)
        values = np.exp([log_e_value(n + 1, s, EFFECTS) for s in sums])
        error = 4 * float(values.std()) / math.sqrt(len(values))
        if effect == 0.0:
            assert float(values.mean()) == pytest.approx(now, abs=error)
        else:
            assert float(values.mean()) < now - error


def test_stopping_at_the_first_look_that_rejects_keeps_the_level() -> None:
    rejected = share_ever_rejected(normal_courses(0.0, "null"))
    assert rejected <= ALPHA + SLACK
    assert rejected > 0.01  # it is not kept by never rejecting anything


def test_a_negative_effect_is_rejected_less_often_still() -> None:
    assert share_ever_rejected(normal_courses(-0.1, "negative")) < 0.02


def test_a_fixed_t_test_at_every_look_would_not_keep_the_level() -> None:
    """What the test above can find: the same courses with the usual critical values."""
    n = np.arange(2, LENGTH + 1)
    sums = sums_of(normal_courses(0.0, "null"))[:, 1:]
    t = sums * np.sqrt(n - 1) / np.sqrt(n - sums**2)
    assert (t >= stats.t.ppf(1 - ALPHA, n - 1)).any(axis=1).mean() > 0.2


def test_a_real_effect_is_found() -> None:
    assert share_ever_rejected(normal_courses(0.57, "found")) > 0.99


@pytest.mark.parametrize("level", [20.0, 160.0])
def test_the_critical_sum_is_where_the_e_value_reaches_the_level(level: float) -> None:
    assert critical_sums(64, level, EFFECTS) == pytest.approx([critical_sum(n, level, EFFECTS) for n in range(1, 65)])
    for n in (8, 9, 33, 64):
        edge = critical_sum(n, level, EFFECTS)
        assert math.exp(log_e_value(n, edge, EFFECTS)) == pytest.approx(level, rel=1e-6)


def test_the_fewest_differences_that_can_reach_a_level() -> None:
    few = fewest(LEVEL, EFFECTS, 50)
    assert few is not None
    assert reached(summarize([1.0] * few), LEVEL, EFFECTS)
    assert not reached(summarize([1.0] * (few - 1)), LEVEL, EFFECTS)
    assert math.isinf(critical_sum(few - 1, LEVEL, EFFECTS))
    assert fewest(LEVEL, EFFECTS, few - 1) is None


def test_the_critical_t_is_the_t_statistic_at_the_critical_sum() -> None:
    n, rng = 30, numpy_stream(0, "test-sequential-t")
    pairs = rng.standard_normal(n)
    # Move the sample until its S is the critical one; SciPy's t statistic must then be the critical t.
    low, high = -1.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        above = summarize((pairs + middle).tolist()).standardized >= critical_sum(n, LEVEL, EFFECTS)
        low, high = (low, middle) if above else (middle, high)
    assert stats.ttest_1samp(pairs + high, 0.0).statistic == pytest.approx(critical_t(n, LEVEL, EFFECTS), rel=1e-6)
    assert math.isinf(critical_t(2, LEVEL, EFFECTS))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-5, 5).map(lambda x: round(x, 3)), min_size=8, max_size=30, unique=True))
def test_the_confidence_sequence_holds_what_neither_side_rejects(pairs: list[float]) -> None:
    interval = confidence_sequence(pairs, ALPHA, EFFECTS)
    assert interval is not None
    width = interval[1] - interval[0]
    for mean, inside in ((interval[0], True), (interval[1], True), (interval[0], False), (interval[1], False)):
        step = 1e-4 * width * (1 if inside == (mean == interval[0]) else -1)
        shifted = [pair - mean - step for pair in pairs]
        sides = (shifted, [-pair for pair in shifted])
        assert any(e_value(side, EFFECTS) >= 2 / ALPHA for side in sides) != inside


def test_the_confidence_sequence_covers_at_all_looks_at_once() -> None:
    courses = normal_courses(0.0, "coverage")
    sums, edge = sums_of(courses), critical_sums(LENGTH, 2 / ALPHA, EFFECTS)
    assert ((np.abs(sums) >= edge).any(axis=1)).mean() <= ALPHA + SLACK
    for course in courses[:8]:
        for n in (5, 6, 40, LENGTH):
            interval = confidence_sequence(course[:n].tolist(), ALPHA, EFFECTS)
            outside = interval is not None and not interval[0] <= 0.0 <= interval[1]
            total = float(course[:n].sum() / np.sqrt((course[:n] ** 2).sum()))
            assert outside == (abs(total) > edge[n - 1])


def test_no_interval_from_too_few() -> None:
    assert confidence_sequence([], ALPHA, EFFECTS) is None
    assert confidence_sequence([1.0, 2.0, 3.0], ALPHA, EFFECTS) is None


def test_a_summary_is_what_numpy_says() -> None:
    pairs = [0.1, -2.0, 3.5, 0.7]
    summary = summarize(pairs)
    assert summary == Summary(4, pytest.approx(np.sum(pairs)), pytest.approx(np.square(pairs).sum()))
    assert summary.mean == pytest.approx(np.mean(pairs))
    assert summary.deviation == pytest.approx(np.std(pairs, ddof=1))
