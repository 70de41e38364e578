"""Schedules of halving, and the standard terms."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaloop.meta.racing.halving import halvings, standard_terms
from metaloop.meta.racing.race import begin
from metaloop.meta.racing.terms import Cut


def test_eight_to_two() -> None:
    assert halvings(8, 2, 8) == (Cut(8, 4), Cut(16, 2))
    assert halvings(9, 2, 4) == (Cut(4, 5), Cut(8, 3), Cut(16, 2))


def test_nothing_to_halve() -> None:
    assert halvings(2, 2, 8) == ()
    assert halvings(0, 1, 8) == ()


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 10))
def test_the_field_shrinks_to_what_is_kept(entrants: int, keep: int, first: int) -> None:
    cuts = halvings(entrants, keep, first)
    fields = [entrants, *(cut.keep for cut in cuts)]
    assert fields[-1] == min(entrants, keep)
    for before, after in pairwise(fields):
        assert max(keep, before // 2) <= after < before
    assert [cut.blocks for cut in cuts] == [first * 2**i for i in range(len(cuts))]


@pytest.mark.parametrize(("keep", "first"), [(0, 8), (2, 0)])
def test_bad_schedules_are_refused(keep: int, first: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        halvings(8, keep, first)


@pytest.mark.parametrize("challengers", [1, 2, 8, 30])
def test_the_standard_terms_are_accepted_by_a_race(challengers: int) -> None:
    names = tuple(f"child-{number}" for number in range(challengers))
    terms = standard_terms("parent", names, ("no-op", "twin"), budget=1000.0, job_cost=1.0)
    state = begin(terms)
    assert state.racing == (*names, "no-op", "twin")
    assert terms.level() == pytest.approx(20 * challengers)
