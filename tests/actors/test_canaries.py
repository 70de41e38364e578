"""Canaries: a device that has changed is found and left out, an honest one is not, and the account still adds up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from metaloop.actors.canaries import time_of
from metaloop.actors.messages import DeviceLost, DeviceReady, Train, Trained
from metaloop.actors.run_context import Granted
from metaloop.files.org_file import load_organization
from metaloop.meta.audit import audit
from metaloop.meta.waiting import waiting
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.canaries import CanaryTerms
from metaloop.vocabulary.records import CurvePoint, TrainingResult
from tests import invariant_checks as checks
from tests.driver import Driver
from tests.simulated import SHIPPED, check_all, fault_case

ROOT = Path(__file__).resolve().parents[2]
TERMS = CanaryTerms(every_s=8.0)


@dataclass
class Ailing(Driver):
    """Devices that change at some time: how many times slower they are then, what is added to their scores."""

    slower: dict[str, tuple[float, float]] = field(default_factory=dict)
    wrong: dict[str, tuple[float, float]] = field(default_factory=dict)
    dies_in_canaries: int = 0

    def _train(self, order: Train) -> None:
        canary = order.experiment.purpose == "canary"
        if canary and self.dies_in_canaries:
            self.dies_in_canaries -= 1
            self._send(self.now + 0.1, DeviceLost(order.device, "killed"))
            self._send(self.now + 0.2, DeviceReady(order.device))
            return
        result = self.train(order.request)
        since, factor = self.slower.get(order.device, (0.0, 1.0))
        if self.now >= since:
            curve = tuple(CurvePoint(p.fraction, p.seconds * factor, p.bpb) for p in result.curve)
            result = msgspec.structs.replace(result, seconds=result.seconds * factor, curve=curve)
        since, added = self.wrong.get(order.device, (0.0, 0.0))
        if self.now >= since:
            result = msgspec.structs.replace(result, bpb={split: bpb + added for split, bpb in result.bpb.items()})
        self._send(self.now + result.seconds, Trained(order.device, order.experiment.id, order.attempt, result))


def ailing(terms: CanaryTerms = TERMS, devices: int = 3, **fields: object) -> Ailing:
    organization = load_organization(ROOT / "orgs/solo-greedy")
    driver = Ailing(organization, budget_s=60.0 * devices, devices=devices, granted=Granted(canaries=terms), **fields)  # type: ignore[arg-type]
    driver.run()
    checks.check_time(driver.journal.events)
    checks.check_waiting(driver.journal.events)
    checks.check_2_replay(driver.journal.events, driver.state)
    checks.check_3_ledger(driver.journal.events, driver.state, 3.0)
    checks.check_4_final_states(driver.journal.events, driver.state)
    checks.check_6_drained(driver.state)
    return driver


def aside(driver: Driver) -> list[ev.SetAside]:
    return [event for event in driver.journal.events if isinstance(event, ev.SetAside)]


def canaries(driver: Driver) -> list[ev.CanaryEnded]:
    return [event for event in driver.journal.events if isinstance(event, ev.CanaryEnded)]


def test_every_device_sings_before_its_first_work_and_then_as_often_as_was_said() -> None:
    driver = ailing()
    events, seen = driver.journal.events, set()
    for event in events:
        if isinstance(event, ev.CanaryEnded):
            seen.add(event.device)
        assert not isinstance(event, ev.Started) or event.device in seen
    assert not aside(driver)
    times = [event.t for event in canaries(driver) if event.device == "d1"]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) >= 4
    assert all(8.0 <= gap <= 8.0 + 5.0 for gap in gaps), "when it next gets work"


def test_without_them_nothing_is_any_different() -> None:
    assert not canaries(ailing(CanaryTerms()))


def test_a_throttled_device_is_set_aside_and_no_longer_paid() -> None:
    driver = ailing(slower={"d1": (20.0, 1.6)})
    (event,) = aside(driver)
    assert event.device == "d1"
    assert 20.0 <= event.t <= 20.0 + 8.0 + 10.0, "by its next canary, the others', and another to be sure"
    assert event.reason == "its canary took 1.60 times as long as the others'"
    assert not [e for e in driver.journal.events if isinstance(e, ev.Started) and e.device == "d1" and e.t > event.t]
    (hold,) = [hold for hold in audit(driver.journal.events).holds if hold.device == "d1"]
    assert hold.end == event.t
    spent = driver.state.ledger.settled_s
    assert 180.0 <= spent <= 180.0 + 2 * 3.0, "the others spend the rest of the budget, and later"
    assert max(hold.end for hold in audit(driver.journal.events).holds) > 65.0


def test_what_it_finished_since_its_last_good_canary_is_named() -> None:
    driver = ailing(slower={"d1": (20.0, 1.6)})
    (event,) = aside(driver)
    good = max(e.t for e in canaries(driver) if e.device == "d1" and not e.fault)
    since = [
        e.experiment
        for e in driver.journal.events
        if isinstance(e, ev.Finished) and e.device == "d1" and good < e.t <= event.t
    ]
    assert since
    assert event.suspects == tuple(since)


def test_a_device_that_computes_something_else_is_set_aside() -> None:
    driver = ailing(wrong={"d2": (15.0, 0.05)})
    (event,) = aside(driver)
    assert event.device == "d2"
    assert "its canary scored" in event.reason


def test_of_two_devices_the_slow_one_goes() -> None:
    (event,) = aside(ailing(devices=2, slower={"d0": (0.0, 1.6)}))
    assert event.device == "d0"


def test_the_last_device_stays_however_slow_it_is_and_its_canaries_say_so() -> None:
    driver = ailing(devices=1, slower={"d0": (20.0, 3.0)})
    assert not aside(driver)
    faults = [bool(event.fault) for event in canaries(driver)]
    assert faults == sorted(faults)
    assert 2 <= sum(faults) <= 8, "as often as any other, with one more to be sure"
    assert driver.state.finished > 10


def test_a_machine_that_slows_down_as_a_whole_loses_no_device() -> None:
    driver = ailing(slower=dict.fromkeys(("d0", "d1", "d2"), (20.0, 1.6)))
    assert [event for event in canaries(driver) if event.fault], "the first looks slow beside the others' earlier ones"
    assert not aside(driver)


def test_a_single_bad_canary_is_forgiven() -> None:
    driver = ailing(dies_in_canaries=1)
    assert [bool(event.fault) for event in canaries(driver)][:4].count(True) == 1
    assert not aside(driver)


def test_a_device_that_dies_in_every_canary_is_set_aside() -> None:
    driver = ailing(dies_in_canaries=2, devices=2)
    assert len(aside(driver)) <= 1
    assert {event.result.state for event in canaries(driver)[:2]} == {"crash"}


def test_after_a_death_every_device_is_looked_at_again() -> None:
    driver = Ailing(load_organization(ROOT / "orgs/solo-greedy"), devices=2, granted=Granted(canaries=TERMS))
    driver.run(until=lambda d: d.state.finished >= 10)
    told = len(driver.journal.events)
    driver.crash_and_resume()
    driver.run()
    first = {}
    for event in driver.journal.events[told:]:
        if isinstance(event, ev.CanaryStarted | ev.Started):
            first.setdefault(event.device, type(event))
    assert set(first.values()) == {ev.CanaryStarted}


def test_canaries_are_idle_time_of_their_own() -> None:
    driver = ailing()
    trained = sum(e.result.seconds for e in canaries(driver))
    (idle,) = [item.seconds for item in waiting(driver.journal.events) if item.cause == "canary"]
    assert idle == pytest.approx(trained)
    assert not [e for e in driver.state.outcomes if e.purpose == "canary"], "no member hears of them"


@pytest.mark.parametrize("number", range(24))
def test_all_invariants_hold_under_faults(number: int) -> None:
    case = replace(fault_case(number), canaries=CanaryTerms(every_s=5.0))
    run = check_all(case)
    assert any(isinstance(event, ev.CanaryEnded) for event in run.events)


@pytest.mark.parametrize("name", SHIPPED)
def test_an_organization_of_any_kind_ends(name: str) -> None:
    driver = Ailing(
        load_organization(ROOT / "orgs" / name), devices=2, granted=Granted(canaries=TERMS), slower={"d1": (9.0, 2.0)}
    )
    assert driver.run().ended


def test_the_time_of_a_canary_leaves_out_what_starting_up_takes() -> None:
    curve = (CurvePoint(0.125, 30.0, 4.0), CurvePoint(1.0, 31.0, 3.0))
    assert time_of(TrainingResult("ok", 33.0, {"val": 3.0}, curve)) == 1.0
    assert time_of(TrainingResult("ok", 33.0, {"val": 3.0}, curve, tokens=500)) == 0.002
    assert time_of(TrainingResult("ok", 33.0, {"val": 3.0})) == 33.0
