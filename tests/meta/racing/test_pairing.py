"""Paired differences, and what an org run that crashed counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloop.meta.racing.pairing import compare, differences
from metaloop.meta.racing.sequential import EFFECTS, reached
from metaloop.vocabulary.seeds import numpy_stream

score = st.one_of(st.none(), st.floats(-100, 100).map(lambda x: round(x, 3)))
scores = st.lists(st.tuples(score, score), max_size=20)


def test_the_missing_loses_by_the_largest_difference() -> None:
    assert differences([5.0, None, 2.0], [1.0, 9.0, 3.0]) == [4.0, -4.0, -1.0]
    assert differences([5.0, 7.0, 2.0], [1.0, None, 3.0]) == [4.0, 4.0, -1.0]


def test_a_crash_is_not_a_score_of_zero() -> None:
    """Scores may be negative, and then zero would win."""
    assert differences([None, -3.0], [-1.0, -5.0])[0] < 0


def test_a_block_without_any_score_is_left_out() -> None:
    assert differences([None, 2.0], [None, 1.0]) == [1.0]
    assert compare([None], [None]).n == 0


def test_only_signs_where_no_block_has_both() -> None:
    assert differences([None, 7.0, 8.0], [1.0, None, None]) == [-1.0, 1.0, 1.0]


def test_equal_scores_beside_a_crash() -> None:
    assert differences([1.0, None], [1.0, 1.0]) == [0.0, -1.0]


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        differences([1.0], [])


@settings(max_examples=40)
@given(scores)
def test_who_is_first_only_turns_the_sign(pairs: list[tuple[float | None, float | None]]) -> None:
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    assert differences(ours, theirs) == [-d for d in differences(theirs, ours)]


@settings(max_examples=40)
@given(scores, st.sampled_from([0.001, 0.5, 1000.0]))
def test_the_unit_does_not_change_the_verdict(pairs: list[tuple[float | None, float | None]], unit: float) -> None:
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    scaled = compare([None if a is None else a * unit for a in ours], [None if b is None else b * unit for b in theirs])
    assert scaled.standardized == pytest.approx(compare(ours, theirs).standardized, abs=1e-6)


def test_twins_that_crash_now_and_then_keep_the_level() -> None:
    """One comparison at 5 %, looked at after every fourth block, each losing a tenth of its org runs."""
    rng, rejected, courses = numpy_stream(0, "test-pairing"), 0, 400
    for _ in range(courses):
        table = np.where(rng.random((60, 2)) < 0.1, np.nan, rng.standard_normal((60, 2)))
        ours, theirs = [[None if np.isnan(x) else float(x) for x in column] for column in table.T]
        rejected += any(reached(compare(ours[:n], theirs[:n]), 20.0, EFFECTS) for n in range(4, 61, 4))
    assert rejected / courses <= 0.05 + 3 * (0.05 * 0.95 / courses) ** 0.5
