"""What arrives twice, late or out of order changes nothing: networks repeat, and the dead sometimes speak."""

from __future__ import annotations

import heapq
from collections import Counter
from pathlib import Path

import pytest

from metaloop.actors.messages import ActorLost, Ask, Decided, DeviceLost, DeviceReady, Message, Train, Trained, Woken
from metaloop.actors.role_actor import RoleActor
from metaloop.actors.run_context import MOST_DEATHS
from metaloop.files.org_file import load_organization
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Pass
from tests.driver import SPACE, Driver, Faults

ROOT = Path(__file__).resolve().parents[2]
ORG = load_organization(ROOT / "orgs" / "solo-greedy")


class Echo(Driver):
    """Every message from a member or a device arrives again, after ``late`` seconds, or just wakes the controller
    then; deaths carry their numbers."""

    late = 0.0
    repeats = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lives: Counter[str] = Counter()

    def _send(self, at: float, message: Message) -> None:
        super()._send(at, message)
        if not isinstance(message, Woken):
            super()._send(at + self.late, message if self.repeats else Woken())

    def _train(self, order: Train) -> None:
        """As the driver's, with a device's lives counted."""
        if not self._hit(self.faults.device):
            result = self.train(order.request)
            self._send(self.now + result.seconds, Trained(order.device, order.experiment.id, order.attempt, result))
            self.paid.append((order.device, order.experiment.id, self.now, self.now + result.seconds))
            return
        life = self.lives[order.device]
        self.lives[order.device] += 1
        self._send(self.now + 0.3, DeviceLost(order.device, "killed", life))
        self._send(self.now + 0.8, DeviceReady(order.device, life + 1))

    def _ask(self, ask: Ask) -> None:
        if self._hit(self.faults.actor):
            member = next(m for m in ORG.members if m.name == ask.actor)
            self.actors[ask.actor] = RoleActor(member, SPACE, self.seed, ORG.members)
            self._send(self.now + self.think_s, ActorLost(ask.actor, "killed", ask.ask))
            return
        self._send(self.now + self.think_s, self.actors[ask.actor].handle(ask))


def journal(late: float, seed: int, *, repeats: bool) -> list[ev.Event]:
    driver = Echo(ORG, seed=seed, budget_s=60.0, faults=Faults(seed, device=0.2, actor=0.2))
    driver.late, driver.repeats = late, repeats
    driver.run()
    return driver.journal.events


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("late", [0.0005, 0.9, 3.1])
def test_messages_that_arrive_twice_change_nothing(late: float, seed: int) -> None:
    """They do wake the controller, as an alarm clock would; a rest may end at such a moment."""
    once, again = journal(late, seed, repeats=False), journal(late, seed, repeats=True)
    assert any(isinstance(event, ev.Lost) for event in once)
    assert any(isinstance(event, ev.ActorDied) for event in once)
    assert again == once


def begun(devices: int = 1) -> Driver:
    driver = Driver(ORG, budget_s=1000.0, devices=devices)
    driver.start()
    return driver


def step(driver: Driver, kind: type) -> list[object]:
    """Deliver messages until one of ``kind`` comes up; deliver that too, and return it with what followed."""
    while True:
        driver.now, _, message = heapq.heappop(driver._heap)
        commands = driver.controller.handle(message, driver.now)
        driver._execute(commands)
        if isinstance(message, kind):
            return [message, *commands]


def test_a_death_reported_twice_does_not_lose_the_new_question() -> None:
    driver = begun()
    ask = next(iter(driver.controller._run.asked.values())).ask
    first = driver.controller.handle(ActorLost("local-proposer", "killed", ask), 0.1)
    anew = [c for c in first if isinstance(c, Ask)]
    assert [c.reborn for c in anew] == [True]
    for _ in range(MOST_DEATHS):
        assert driver.controller.handle(ActorLost("local-proposer", "killed", ask), 0.2) == []
    assert driver.controller._run.asked["local-proposer"].ask == anew[0].ask
    assert sum(isinstance(e, ev.ActorDied) for e in driver.journal.events) == 1


def test_a_death_of_a_member_that_was_asked_nothing_counts() -> None:
    driver = begun()
    driver.controller.handle(ActorLost("greedy-merger", "killed"), 0.1)
    assert sum(isinstance(e, ev.ActorDied) for e in driver.journal.events) == 1


def test_a_result_or_an_answer_that_comes_again_is_ignored() -> None:
    driver = begun()
    trained = step(driver, Trained)[0]
    decided = step(driver, Decided)[0]
    before = list(driver.journal.events)
    assert isinstance(trained, Trained)
    assert isinstance(decided, Decided)
    driver.controller.handle(trained, driver.now)
    driver.controller.handle(decided, driver.now)
    assert driver.journal.events == before


def test_a_late_report_of_an_old_death_spares_the_new_process() -> None:
    driver = begun()
    controller = driver.controller
    controller.handle(DeviceLost("d0", "killed", 0), 0.1)
    controller.handle(DeviceReady("d0", 1), 0.2)
    assert driver.state.running, "it is trained again"
    before = list(driver.journal.events)
    controller.handle(DeviceLost("d0", "killed", 0), 0.3)
    controller.handle(DeviceReady("d0", 1), 0.4)
    assert driver.journal.events == before
    controller.handle(DeviceLost("d0", "killed", 1), 0.5)
    controller.handle(DeviceReady("d0", 1), 0.6)
    assert controller._devices.free() == 0, "its second life is over, and how that began is old news"
    controller.handle(DeviceReady("d0", 2), 0.7)
    assert controller._devices.free() == 1


def test_a_return_that_overtakes_the_death_says_both() -> None:
    driver = begun()
    driver.controller.handle(DeviceReady("d0", 1), 0.2)
    driver.controller.handle(DeviceLost("d0", "killed", 0), 0.3)
    kinds = [type(event) for event in driver.journal.events[-2:]]
    assert kinds == [ev.Lost, ev.Started]


def test_a_device_that_nobody_holds_is_no_news() -> None:
    driver = begun()
    before = list(driver.journal.events)
    driver.controller.handle(DeviceLost("elsewhere", "killed"), 0.1)
    driver.controller.handle(DeviceReady("elsewhere"), 0.1)
    assert driver.journal.events == before


def test_an_answer_to_an_earlier_life_of_the_controller_is_ignored() -> None:
    driver = begun()
    asked = driver.controller._run.asked["local-proposer"].ask
    driver.crash_and_resume()
    assert driver.controller._run.asked["local-proposer"].ask > asked
    before = list(driver.journal.events)
    driver.controller.handle(Decided(asked, "local-proposer", Pass("late")), driver.now)
    assert driver.journal.events == before
