"""Every policy knob of a director changes what a stand-up lays down."""

from __future__ import annotations

from metaloop.brains.registry import make_brain
from metaloop.vocabulary.decisions import Observation, StandUp, Steering
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config, Outcome
from tests.brains import worlds as w
from tests.brains.objective import member

ANN, BOB = member("proposer", "ann"), member("proposer", "bob")
GOLD: tuple[tuple[Config, float], ...] = (
    ({"decay": 0.3}, -0.05),
    ({"lr": 0.02}, -0.002),
    ({"lr": 0.03}, -0.001),
    ({"depth": 5}, 0.02),
)


def meeting(
    found: tuple[tuple[Config, float], ...] = GOLD,
    index: int = 0,
    since_merge: int = 0,
    colleagues: tuple[Member, ...] = (ANN, BOB, member("merger", "mel")),
    **policy: object,
) -> StandUp:
    news: tuple[Outcome, ...] = tuple(w.outcome(i, changes, delta) for i, (changes, delta) in enumerate(found, 1))
    observation = Observation("standup", index, w.head(), 0.3, (w.BASELINE, *news), since_merge=since_merge)
    decision = make_brain(member("director", **policy), w.SPACE, 0, colleagues).decide(observation)
    assert isinstance(decision, StandUp)
    assert decision.minutes
    return decision


def test_refocus_points_at_the_groups_that_paid() -> None:
    result = meeting(focus_groups=1)
    assert result.steering["ann"] == Steering(("regularization",))
    assert "regularization brought 0.0500 bpb" in result.minutes


def test_every_other_proposer_stays_free() -> None:
    assert meeting().steering["bob"] == Steering()


def test_only_proposers_are_steered() -> None:
    assert set(meeting().steering) == {"ann", "bob"}


def test_focus_groups() -> None:
    assert meeting(focus_groups=2).steering["ann"].focus == ("regularization", "optimizer")
    assert len(meeting(focus_groups=6).steering["ann"].focus) == 2, "a group without any gain is no focus"


def test_where_nothing_was_gained_nobody_is_pointed_anywhere() -> None:
    assert set(meeting(found=()).steering.values()) == {Steering()}


def test_rotate_takes_turns() -> None:
    turns = [meeting(index=i, strategy="rotate", focus_groups=1).steering["ann"].focus for i in range(4)]
    assert turns == [("optimizer",), ("architecture",), ("regularization",), ("optimizer",)]


def test_none_leaves_be() -> None:
    assert set(meeting(strategy="none").steering.values()) == {Steering()}


def test_a_plateau_makes_everyone_bolder_and_its_end_undoes_it() -> None:
    stuck = meeting(since_merge=15, broaden_factor=3.0)
    assert set(stuck.steering.values()) == {Steering((), 3.0)}
    assert all(s.boldness_factor == 1.0 for s in meeting(found=(), since_merge=2).steering.values())


def test_on_plateau_unfocus_and_none() -> None:
    assert set(meeting(since_merge=15, on_plateau="unfocus").steering.values()) == {Steering()}
    assert meeting(since_merge=15, on_plateau="none").steering["ann"].focus


def test_plateau_after() -> None:
    assert meeting(since_merge=10, plateau_after=10).steering["bob"].boldness_factor == 2.0
    assert meeting(since_merge=10, plateau_after=11).steering["bob"].boldness_factor == 1.0
