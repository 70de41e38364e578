"""Tokens and dollars are a budget like device time: once they are spent an org run winds up."""

from __future__ import annotations

import msgspec
import pytest

from metaloop.actors.messages import Ask, Decided
from metaloop.actors.run_context import Granted
from metaloop.files.policies import defaults
from metaloop.meta.audit import audit
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.models import UNLIMITED, Allowance
from metaloop.vocabulary.organization import Member, Organization, RoleKind
from metaloop.vocabulary.records import Cost
from tests.driver import Driver

COST = Cost(0.1, 100, 0.5)


def member(kind: RoleKind) -> Member:
    return Member(kind, kind, kind, dict(defaults(kind)), "scripted", "")


def spending(allowance: Allowance) -> Driver:
    """A run whose every decision costs :data:`COST`."""
    driver = Driver(Organization("test", "", "", (member("proposer"), member("merger"))), granted=Granted(allowance))
    for actor in driver.actors.values():
        handle = actor.handle

        def dear(ask: Ask, handle=handle) -> Decided:  # type: ignore[no-untyped-def]
            decided = handle(ask)
            return msgspec.structs.replace(decided, decision=msgspec.structs.replace(decided.decision, cost=COST))

        actor.handle = dear  # type: ignore[method-assign]
    driver.run()
    return driver


@pytest.mark.parametrize("allowance", [Allowance(tokens=1000), Allowance(usd=5.0), Allowance(1000, 100.0)])
def test_a_run_winds_up_once_its_allowance_is_spent(allowance: Allowance) -> None:
    driver = spending(allowance)
    counted = audit(driver.journal.events)
    ended = driver.journal.events[-1]
    assert isinstance(ended, ev.RunEnded)
    assert ended.reason == "the tokens or dollars for thinking were spent"
    # Beyond it only what was asked already, and verdicts on what was trained.
    assert 1000 <= counted.tokens <= 1000 + 100 * 8
    assert counted.allocated_s < 60.0
    assert not driver.state.ledger.held
    assert all(entry.final for entry in driver.state.experiments.values())


def test_an_allowance_that_lasts_changes_nothing() -> None:
    plain, granted = spending(UNLIMITED), spending(Allowance(10**9, 1e9))
    assert plain.journal.events == granted.journal.events
    assert plain.journal.events[-1].reason == "the budget was spent"  # type: ignore[union-attr]


def test_what_is_left_is_told_apart_by_field() -> None:
    assert Allowance(100, None).less(30, 5.0) == Allowance(70, None)
    assert Allowance(100, 2.0).less(300, 5.0) == Allowance(0, 0.0)
    assert Allowance(100, None).least(Allowance(50, 3.0)) == Allowance(50, 3.0)
    assert UNLIMITED.least(UNLIMITED) == UNLIMITED
