"""Who sees whose results, and each exactly once."""

from __future__ import annotations

import pytest

from metaloop.actors.state import OrgState
from metaloop.actors.visibility import NewsDesk
from metaloop.vocabulary.organization import Member, RoleKind, Sharing
from metaloop.vocabulary.records import Outcome


def member(name: str, team: str = "", kind: RoleKind = "proposer") -> Member:
    return Member(name, name, kind, {}, "scripted", "", team)


def outcome(number: int, author: str, team: str = "") -> Outcome:
    return Outcome(f"e{number}", f"p{number}", author, team, "main", "candidate", {}, {}, 0, "ok", 1.0, 0.0)


ANN, BOB, EVE = member("ann", "a"), member("bob", "a"), member("eve", "b")


@pytest.fixture
def state() -> OrgState:
    made = OrgState()
    made.outcomes += [outcome(1, "ann", "a"), outcome(2, "bob", "a"), outcome(3, "eve", "b"), outcome(4, "")]
    return made


def told(desk: NewsDesk, who: Member, state: OrgState) -> str:
    return "".join(o.experiment[1:] for o in desk.take(who, state))


@pytest.mark.parametrize(
    ("sharing", "ann", "eve"),
    [("own", "14", "34"), ("team", "124", "34"), ("all", "1234", "1234"), ("standup", "1", "3")],
)
def test_sharing_decides_what_a_proposer_sees(sharing: Sharing, ann: str, eve: str, state: OrgState) -> None:
    desk = NewsDesk(sharing)
    assert told(desk, ANN, state) == ann
    assert told(desk, EVE, state) == eve
    assert told(desk, ANN, state) == "", "nothing twice"


@pytest.mark.parametrize("sharing", ["own", "team", "all", "standup"])
def test_those_who_answer_for_the_whole_see_all(sharing: Sharing, state: OrgState) -> None:
    assert told(NewsDesk(sharing), member("boss", kind="merger"), state) == "1234"


def test_a_stand_up_tells_the_rest_once(state: OrgState) -> None:
    desk = NewsDesk("standup")
    assert told(desk, ANN, state) == "1"
    state.shared_until = 4
    assert told(desk, ANN, state) == "234"
    state.outcomes.append(outcome(5, "ann", "a"))
    state.outcomes.append(outcome(6, "bob", "a"))
    assert told(desk, ANN, state) == "5"
    state.shared_until = 6
    assert told(desk, ANN, state) == "6"


def test_the_reborn_are_told_everything_again(state: OrgState) -> None:
    desk = NewsDesk("all")
    assert told(desk, ANN, state) == "1234"
    desk.forget("ann")
    assert told(desk, ANN, state) == "1234"
