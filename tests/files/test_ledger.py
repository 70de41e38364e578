"""The budget ledger, against an account kept by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaloop.files.ledger import BudgetLedger
from metaloop.vocabulary.records import Cost

spans = st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e3)), min_size=1, max_size=8)


@given(spans)
def test_allocated_time_is_the_sum_of_all_holdings(spans: list[tuple[float, float]]) -> None:
    ledger = BudgetLedger(budget_s=100.0)
    for index, (start, length) in enumerate(spans):
        ledger.reserve(f"d{index}", start)
        ledger.release(f"d{index}", start + length)
    assert ledger.spent_s(1e6) == pytest.approx(sum(length for _, length in spans))
    assert not ledger.held


def test_a_held_device_costs_as_time_goes_by() -> None:
    ledger = BudgetLedger(budget_s=10.0)
    ledger.reserve("a", 1.0)
    ledger.reserve("b", 2.0)
    assert ledger.spent_s(4.0) == 5.0
    assert ledger.share(4.0) == 0.5
    ledger.release("a", 4.0)
    assert ledger.spent_s(6.0) == 7.0


def test_a_device_is_held_once() -> None:
    ledger = BudgetLedger()
    ledger.reserve("a", 0.0)
    with pytest.raises(ValueError, match="already reserved"):
        ledger.reserve("a", 1.0)
    with pytest.raises(KeyError):
        ledger.release("b", 1.0)


def test_declared_tokens_and_dollars_add_up() -> None:
    ledger = BudgetLedger()
    ledger.charge(Cost(1.0, 10, 0.5))
    ledger.charge(Cost(2.0, 5, 0.25))
    assert (ledger.tokens, ledger.usd, ledger.spent_s(99.0)) == (15, 0.75, 0.0)


def test_what_many_devices_cost_does_not_depend_on_how_they_are_counted() -> None:
    ledger = BudgetLedger(budget_s=1e6)
    for index in range(1000):
        ledger.reserve(f"d{index}", 1.0 if index % 2 else 0.0)
    assert ledger.spent_s(11.0) == pytest.approx(500 * 11.0 + 500 * 10.0)
    for index in range(0, 1000, 2):
        ledger.release(f"d{index}", 11.0)
    assert ledger.held_since == {1.0: 500}
    assert ledger.spent_s(12.0) == pytest.approx(500 * 11.0 + 500 * 11.0)


def test_what_was_spent_is_counted_anew_when_devices_come_and_go_at_the_same_moment() -> None:
    ledger = BudgetLedger(budget_s=10.0)
    ledger.reserve("a", 0.0)
    assert ledger.spent_s(3.0) == 3.0
    ledger.reserve("b", 1.0)
    assert ledger.spent_s(3.0) == 5.0
    ledger.release("a", 2.0)
    assert ledger.spent_s(3.0) == 4.0


def test_a_ledger_of_groups() -> None:
    ledger = BudgetLedger(budget_s=100.0, group=4)
    ledger.reserve("gpu-0-3", 0.0)
    ledger.reserve("gpu-4-7", 0.0)
    assert (ledger.rate, ledger.spent_s(5.0)) == (8, 40.0)
    ledger.release("gpu-0-3", 5.0)
    ledger.work(3.0)
    assert (ledger.rate, ledger.spent_s(10.0), ledger.busy_s) == (4, 60.0, 12.0)
