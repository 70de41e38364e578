"""The small t interval, against SciPy."""

from __future__ import annotations

import math

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from metaloop.vocabulary.intervals import mean_interval, t975


@pytest.mark.parametrize("df", [*range(1, 40), 100, 1000])
def test_quantiles(df: int) -> None:
    assert t975(df) == pytest.approx(scipy.stats.t.ppf(0.975, df), rel=1e-3)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12).filter(lambda v: max(v) - min(v) > 1e-3))
def test_intervals(values: list[float]) -> None:
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = mean_interval(values)
    assert found.ci95 is not None
    half = (expected.high - expected.low) / 2
    assert found.ci95 == pytest.approx((expected.low, expected.high), abs=1e-3 * half)


def test_few_values_have_no_interval() -> None:
    assert mean_interval([1.5]).ci95 is None
    assert math.isnan(mean_interval([]).mean)
