"""Looking only at what something happened to gives what looking at everything gives, and the state's sets are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaloop.actors.agenda import Line, Visits
from metaloop.actors.messages import Command, Message
from metaloop.actors.state import OrgState
from metaloop.files.org_file import load_organization
from metaloop.files.org_reader import organizations_at
from metaloop.files.policies import defaults
from metaloop.vocabulary.organization import Cadence, Member, Organization, RoleKind
from tests.driver import Driver, Faults

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = [path.name for path in organizations_at(ROOT / "orgs") if path.name != "tpe"]


def member(kind: RoleKind, name: str = "", team: str = "", **policy: Any) -> Member:
    return Member(name or kind, name or kind, kind, {**defaults(kind), **policy}, "scripted", "", team)


CROWDED = Organization(
    "crowded",
    "",
    "",
    (
        member("proposer", "a", "x"),
        member("proposer", "b", "x", strategy="random"),
        member("proposer", "c", "y", strategy="combine", changes_per_proposal=3),
        member("reviewer", "r1", "x", max_changes=6),
        member("reviewer", "r2", "x"),
        member("reviewer", "r3", "y", novelty=0.02),
        member("merger", "m1", "x", strategy="batch", batch_size=2, near_miss=0.01),
        member("merger", "m2", "y", strategy="test", repeats=3),
        member("merger", "m3", near_miss=0.01, on_stale="trust"),
    ),
    branching="teams",
    quorum=1,
    cadence=Cadence(integrate_every=8, lookahead=3),
)


def organization(name: str) -> Organization:
    return CROWDED if name == "crowded" else load_organization(ROOT / "orgs" / name)


class Thorough(Driver):
    """Looks at everything at every message."""

    def _build(self) -> None:
        super()._build()
        handle, agenda = self.controller.handle, self.controller._run.agenda

        def look_at_all(message: Message, now: float) -> list[Command]:
            agenda.everything()
            return handle(message, now)

        self.controller.handle = look_at_all  # type: ignore[method-assign]


@pytest.mark.parametrize("think_s", [0.001, 0.4], ids=["quick", "slow"])
@pytest.mark.parametrize("name", [*SHIPPED, "crowded"])
def test_a_look_at_everything_finds_nothing_more(name: str, think_s: float) -> None:
    """Slow members let work pile up before them."""
    terms: dict[str, Any] = {"seed": 4, "budget_s": 120.0, "devices": 12, "think_s": think_s}
    faults = Faults(4, device=0.1, actor=0.1)
    lean, thorough = (kind(organization(name), faults=faults, **terms) for kind in (Driver, Thorough))
    lean.run()
    thorough.run()
    assert lean.journal.events == thorough.journal.events


def check_sets(state: OrgState) -> None:
    live = [state.proposals[name] for name in state.live.values()]
    for status, numbers in (("review", state.in_review), ("judging", state.judging), ("held", state.held)):
        assert numbers == {entry.number for entry in live if entry.status == status}
    assert state.idle == {device for device in state.ledger.held if device not in state.running}
    assert sorted(state.idle, key=state.ranks.__getitem__) == [d for d in state.ledger.held if d in state.idle]
    offered = [entry.proposal.author for entry in live if entry.proposal.purpose == "integration"]
    assert +state.integrating == {name: offered.count(name) for name in set(offered)}


@pytest.mark.parametrize("name", ["crowded", "daily-standup", "specialists"])
def test_the_sets_of_the_state_name_who_they_should(name: str) -> None:
    driver = Driver(organization(name), budget_s=60.0, devices=5, faults=Faults(1, device=0.2, actor=0.1))

    def check(d: Driver) -> bool:
        check_sets(d.state)
        return len(d.journal.events) > 150

    driver.run(until=check)
    driver.crash_and_resume()
    check_sets(driver.state)
    driver.run(until=lambda d: check_sets(d.state))  # type: ignore[arg-type, return-value, func-returns-value]


@given(st.lists(st.integers(0, 20)), st.lists(st.integers(0, 20)))
def test_visits_go_up_and_see_each_once(first: list[int], later: list[int]) -> None:
    visits, seen = Visits(first), []
    while (number := visits.pop()) is not None:
        seen.append(number)
        if later:
            visits.add(later.pop())
    assert seen == sorted(set(seen))
    assert set(first) <= set(seen)


def test_a_line_skips_who_has_left() -> None:
    line, waiting = Line(), {3, 5, 8}
    for number in (8, 3, 5, 3):
        line.add(number)
    assert line.first(waiting.__contains__) == 3
    waiting.remove(3)
    assert line.first(waiting.__contains__) == 5
    waiting.add(3)
    assert line.first(waiting.__contains__) == 5, "who left stands in line again to come back"
    line.add(3)
    assert line.first(waiting.__contains__) == 3
    assert line.first(set[int]().__contains__) is None
