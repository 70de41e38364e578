"""Notice of the end: nothing new is begun, what is under way ends, and the next life goes on as after any death."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloop.actors.messages import DeviceLeaving, DeviceReady, Drain
from metaloop.files.org_file import load_organization
from metaloop.vocabulary import events as ev
from tests import invariant_checks as checks
from tests.driver import Driver

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["solo-greedy", "careful-lab", "daily-standup", "specialists"])
@pytest.mark.parametrize("after", [12, 90, 201])
def test_nothing_new_is_begun_and_nothing_is_lost(name: str, after: int) -> None:
    driver = Driver(load_organization(ROOT / "orgs" / name), seed=4, budget_s=60.0)
    driver.run(until=lambda d: len(d.journal.events) >= after and bool(d.state.running))
    running = set(driver.state.running.values())
    assert not driver.controller.drained
    assert driver.controller.handle(Drain(), driver.now) == []
    told = len(driver.journal.events)
    driver.run(until=lambda d: d.controller.drained)
    since = driver.journal.events[told:]
    assert running == {e.experiment for e in since if isinstance(e, ev.Finished)}
    assert not [e for e in since if isinstance(e, ev.Started | ev.StandUpBegan | ev.Released | ev.RunEnded)]
    driver.crash_and_resume()
    state = driver.run()
    events = driver.journal.events
    assert not [e for e in events if isinstance(e, ev.Lost)]
    checks.check_2_replay(events, state)
    checks.check_3_ledger(events, state, 3.0)
    checks.check_4_final_states(events, state)
    checks.check_6_drained(state)


def test_a_device_whose_node_will_go_trains_to_the_end_and_takes_nothing_new_until_it_is_back() -> None:
    driver = Driver(load_organization(ROOT / "orgs" / "solo-greedy"), seed=4, budget_s=60.0)
    driver.run(until=lambda d: len(d.state.running) == 2)
    device, experiment = next(iter(driver.state.running.items()))
    assert driver.controller.handle(DeviceLeaving(device), driver.now) == []
    told = len(driver.journal.events)
    driver.run(until=lambda d: d.now > 15.0)
    since = driver.journal.events[told:]
    assert experiment in {e.experiment for e in since if isinstance(e, ev.Finished) and e.device == device}
    assert {e.device for e in since if isinstance(e, ev.Started)} == {"d0", "d1"} - {device}
    driver._send(driver.now, DeviceReady(device))
    state = driver.run()
    events = driver.journal.events
    assert device in {e.device for e in events[told + len(since) :] if isinstance(e, ev.Started)}
    checks.check_2_replay(events, state)
    checks.check_3_ledger(events, state, 3.0)
    checks.check_4_final_states(events, state)
    checks.check_6_drained(state)


def test_what_was_said_before_the_run_began_holds() -> None:
    driver = Driver(load_organization(ROOT / "orgs" / "solo-greedy"), seed=4, budget_s=30.0)
    assert driver.controller.handle(DeviceLeaving("d0"), 0.0) == []
    assert driver.journal.events == []
    driver.run()
    assert {"d1"} == {e.device for e in driver.journal.events if isinstance(e, ev.Started)}
