"""Org runs whose trainings have several devices each: everything that counts device time counts all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloop.edges.report.story import Allocation
from metaloop.execution.ray_metrics import figures
from metaloop.files.org_file import load_organization
from metaloop.meta.audit import audit
from metaloop.meta.waiting import waiting
from metaloop.vocabulary import events as ev
from tests import invariant_checks as checks
from tests.driver import Driver, Faults

ROOT = Path(__file__).resolve().parents[1]
TOGETHER, GROUPS, BUDGET_S = 4, 2, 240.0


def finished(name: str = "solo-greedy", faults: Faults | None = None) -> Driver:
    organization = load_organization(ROOT / "orgs" / name)
    driver = Driver(organization, 3, BUDGET_S, GROUPS, TOGETHER, faults=faults or Faults())
    driver.run()
    return driver


@pytest.mark.parametrize("name", ["solo-greedy", "daily-standup"])
@pytest.mark.parametrize("faults", [Faults(), Faults(2, device=0.4, actor=0.2, until=20.0)], ids=["well", "ill"])
def test_the_invariants_hold(name: str, faults: Faults) -> None:
    driver = finished(name, faults)
    events = driver.journal.events
    longest = max(end - start for _, _, start, end in driver.paid)
    checks.check_2_replay(events, driver.state)
    checks.check_3_ledger(events, driver.state, longest + 1.0)
    checks.check_waiting(events)


def test_a_second_costs_as_many_device_seconds_as_there_are_devices() -> None:
    driver = finished()
    account = audit(driver.journal.events)
    held = sum(hold.seconds for hold in account.holds)
    assert account.allocated_s == pytest.approx(TOGETHER * held)
    assert driver.state.ledger.spent_s(driver.now) == pytest.approx(TOGETHER * held)
    assert driver.now == pytest.approx(BUDGET_S / (TOGETHER * GROUPS), abs=3.0), "the last trainings end"
    trained = sum(e.result.seconds for e in driver.journal.events if isinstance(e, ev.Finished))
    assert account.busy_s == pytest.approx(TOGETHER * trained)
    assert account.utilization == pytest.approx(trained / held)
    idle = sum(item.seconds for item in waiting(driver.journal.events))
    assert idle == pytest.approx(TOGETHER * (held - trained))


def test_the_same_run_on_single_devices_costs_a_part() -> None:
    """What is paid for is all that differs between a group and a device: the same decisions at the same times."""
    organization = load_organization(ROOT / "orgs" / "solo-greedy")
    single = Driver(organization, 3, BUDGET_S / TOGETHER, GROUPS)
    single.run()
    grouped = finished()
    assert grouped.now == pytest.approx(single.now)
    ours = [(e.experiment, e.t) for e in grouped.journal.events if isinstance(e, ev.Finished)]
    assert ours == [(e.experiment, e.t) for e in single.journal.events if isinstance(e, ev.Finished)]


def test_figures_count_devices() -> None:
    driver = Driver(load_organization(ROOT / "orgs" / "solo-greedy"), 3, BUDGET_S, GROUPS, TOGETHER)
    driver.run(until=lambda d: d.state.finished > 4 and bool(d.state.running))
    values = figures(driver.state)
    assert values["devices"] == TOGETHER * GROUPS
    assert values["devices_busy"] == TOGETHER * len(driver.state.running)
    assert values["utilization"] > 0.5
    account = audit(driver.journal.events)
    allocation = Allocation(account.holds, account.devices_per_experiment)
    assert allocation.at(driver.state.now) == pytest.approx(driver.state.ledger.spent_s(driver.state.now) / 3600)
