"""The running median behind the scale of beliefs, against sorting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metaloop.brains.beliefs import Median


@given(st.lists(st.floats(0, 1), min_size=1))
def test_the_median_is_the_element_at_half_the_length(values: list[float]) -> None:
    median = Median()
    for count, value in enumerate(values, start=1):
        median.add(value)
        assert len(median) == count
        assert median.value() == sorted(values[:count])[count // 2]
