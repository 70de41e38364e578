"""What is left to think for, and org runs on real devices that keep to it."""

from __future__ import annotations

import pytest

from metaloop.edges.evolution.purse import Purse
from metaloop.meta.thinking import Charge
from metaloop.vocabulary.errors import BudgetSpent
from metaloop.vocabulary.models import UNLIMITED, Allowance


def test_what_was_spent_is_taken_from_the_total() -> None:
    spent = [Charge(30, 0.5)]
    purse = Purse(Allowance(100, 2.0), lambda: spent[0])
    assert purse.granted() == Allowance(70, 1.5)
    spent[0] = Charge(100, 0.6)
    with pytest.raises(BudgetSpent, match=r"100 tokens \(\$0\.60\)"):
        purse.granted()


def test_without_a_total_everything_is_granted() -> None:
    purse = Purse(UNLIMITED, lambda: Charge(10**9, 1e6))
    assert not purse.limited
    assert purse.granted() == UNLIMITED
