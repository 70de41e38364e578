"""The intervals and tests agree with SciPy, and they cover what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metaloop.meta.statistics import (
    holm,
    paired_interval,
    sign_flip_interval,
    sign_flip_test,
    t_interval,
    t_test,
    t_test_below,
)

values = st.lists(st.floats(-10, 10).map(lambda x: round(x, 6)), min_size=2, max_size=12)
spread = values.filter(lambda v: np.std(v) > 1e-3)


@given(spread, st.sampled_from([0.8, 0.95, 0.99]))
def test_t_interval_is_scipys(sample: list[float], confidence: float) -> None:
    ours = t_interval(sample, confidence)
    low, high = stats.t.interval(confidence, len(sample) - 1, loc=np.mean(sample), scale=stats.sem(sample))
    assert ours.mean == pytest.approx(np.mean(sample), abs=1e-9)
    assert ours.ci95 == pytest.approx((low, high), rel=1e-9, abs=1e-9)


@given(spread)
def test_one_sided_t_test_is_scipys(sample: list[float]) -> None:
    theirs = stats.ttest_1samp(sample, 0.0, alternative="less").pvalue
    assert t_test_below(sample) == pytest.approx(theirs, abs=1e-9)


@given(spread)
def test_two_sided_t_test_is_scipys(sample: list[float]) -> None:
    assert t_test(sample) == pytest.approx(stats.ttest_1samp(sample, 0.0).pvalue, abs=1e-9)


def test_holm_is_what_the_paper_s_steps_give() -> None:
    assert holm([0.01, 0.04, 0.03, None, 0.005]) == pytest.approx([0.03, 0.06, 0.06, None, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_holm_holds_the_level_over_a_whole_family() -> None:
    """Six comparisons without any difference: at least one is claimed in at most 5 % of the cases."""
    rng = np.random.default_rng(4)
    p = stats.ttest_1samp(rng.normal(size=(2000, 6, 8)), 0.0, axis=2).pvalue
    claimed = np.mean([min(v for v in holm(list(row)) if v is not None) < 0.05 for row in p])
    assert claimed == pytest.approx(0.05, abs=0.015)
    assert np.mean(p.min(axis=1) < 0.05) > 0.2


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-10, 10).map(lambda x: round(x, 3)), min_size=2, max_size=8))
def test_sign_flip_test_is_scipys(sample: list[float]) -> None:
    theirs = stats.permutation_test((sample,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    # SciPy doubles the smaller tail; for this symmetric distribution that is the share of both tails, at most 1.
    assert sign_flip_test(sample) == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 4)), min_size=6, max_size=10, unique=True))
def test_sign_flip_interval_holds_what_the_test_does_not_reject(sample: list[float]) -> None:
    interval = sign_flip_interval(sample)
    assert interval is not None
    low, high = interval
    margin = 1e-4
    for outside in (low - margin, high + margin):
        p = sign_flip_test([v - outside for v in sample])
        assert p is not None
        assert p <= 0.05 + 1e-9
    middle = sign_flip_test([v - (low + high) / 2 for v in sample])
    assert middle is not None
    assert middle > 0.05


def test_few_values() -> None:
    assert math.isnan(t_interval([]).mean)
    assert t_interval([2.0]).ci95 is None
    assert t_test_below([1.0]) is None
    assert t_test_below([-1.0, -1.0]) == 0.0
    assert t_test_below([0.0, 0.0]) == 0.5
    assert t_test([1.0]) is None
    assert t_test([1.0, 1.0]) == 0.0
    assert t_test([0.0, 0.0]) == 1.0
    assert t_interval([1.0, 1.0]).ci95 == (1.0, 1.0)
    assert sign_flip_interval([1.0] * 5) is None
    assert sign_flip_test([]) is None
    assert sign_flip_test([0.5, 0.4, 0.6]) == 0.25


def test_pairing_removes_the_shared_noise() -> None:
    rng = np.random.default_rng(1)
    seeds = rng.normal(0, 1.0, 8)
    ours, theirs = seeds + 0.1 + rng.normal(0, 0.01, 8), seeds + rng.normal(0, 0.01, 8)
    paired, alone = paired_interval(list(ours), list(theirs)).ci95, t_interval(list(ours)).ci95
    assert paired is not None
    assert alone is not None
    assert paired[0] > 0
    assert paired[1] - paired[0] < (alone[1] - alone[0]) / 20
    with pytest.raises(ValueError, match="zip"):
        paired_interval([1.0], [1.0, 2.0])


def _coverage(samples: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    return float(np.mean((low <= 0) & (high >= 0)))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_t_interval_covers_and_the_percentile_bootstrap_does_not(n: int) -> None:
    rng = np.random.default_rng(7)
    samples = rng.normal(size=(4000, n))
    intervals = np.array([t_interval(list(row)).ci95 for row in samples])
    assert abs(_coverage(samples, intervals[:, 0], intervals[:, 1]) - 0.95) < 0.012  # 3.5 binomial sd
    drawn = samples[:, rng.integers(0, n, size=(500, n))].mean(axis=2)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    bootstrap = _coverage(samples, low, high)
    assert bootstrap < {3: 0.85, 5: 0.90, 10: 0.93}[n]


def test_sign_flip_interval_covers_heavy_tailed_noise() -> None:
    rng = np.random.default_rng(3)
    samples = rng.standard_t(2, size=(2000, 8))
    intervals = np.array([sign_flip_interval(list(row)) for row in samples])
    promised = 1 - 2 * 6 / 2**8
    assert abs(_coverage(samples, intervals[:, 0], intervals[:, 1]) - promised) < 0.018
