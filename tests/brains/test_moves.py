"""Distances between configurations."""

from __future__ import annotations

import pytest

from metaloop.brains.moves import distance
from tests.brains.worlds import SPACE


def test_a_bound_spares_work_and_changes_no_answer_below_it() -> None:
    one, other = {"lr": 0.02, "beta": 0.8, "depth": 6}, {"lr": 0.01, "width": 128}
    exact = distance(SPACE, one, other)
    assert distance(SPACE, one, other, exact * 1.01) == exact
    assert distance(SPACE, one, other, exact * 0.5) >= exact * 0.5
    assert distance(SPACE, one, one, 0.0) == 0.0
    assert distance(SPACE, one, {**one, "act": "swiglu"}) == pytest.approx(1.0)
