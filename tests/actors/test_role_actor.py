"""A member's brain is asked every question once, however often and in whatever order questions arrive."""

from __future__ import annotations

from metaloop.actors.messages import Ask
from metaloop.actors.role_actor import RoleActor
from metaloop.files.policies import defaults
from metaloop.vocabulary.decisions import Decision, Observation, Pass
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Head
from tests.driver import SPACE

MEMBER = Member("ann", "ann", "proposer", defaults("proposer"), "scripted", "")


class CountingActor(RoleActor):
    """Notes what its brains were shown: (life, index)."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, int]] = []
        self.lives = 0
        super().__init__(MEMBER, SPACE, 0, (MEMBER,))

    def _new_brain(self) -> _Brain:
        self.lives += 1
        return _Brain(self, self.lives)


class _Brain:
    def __init__(self, actor: CountingActor, life: int) -> None:
        self._actor, self._life = actor, life

    def decide(self, observation: Observation) -> Decision:
        self._actor.shown.append((self._life, observation.index))
        return Pass(f"decision {observation.index} of life {self._life}")


def ask(number: int, *, reborn: bool = False) -> Ask:
    return Ask(number, "ann", Observation("propose", number, Head("main", "c0", {}, {}, 0), 0.0), reborn)


def test_a_question_that_arrives_twice_is_decided_once() -> None:
    actor = CountingActor()
    first = actor.handle(ask(1))
    assert actor.handle(ask(1)) == first
    assert actor.shown == [(1, 1)]
    assert actor.handle(ask(2)) != first
    assert actor.shown == [(1, 1), (1, 2)]


def test_a_rebirth_that_arrives_twice_forgets_once() -> None:
    actor = CountingActor()
    reborn = actor.handle(ask(4, reborn=True))
    assert actor.handle(ask(4, reborn=True)) == reborn
    assert actor.shown == [(2, 4)]


def test_an_old_question_does_not_reach_the_brain() -> None:
    """Its news were told already; the answer names the later question, which whoever waits knows by its number."""
    actor = CountingActor()
    actor.handle(ask(1, reborn=True))
    latest = actor.handle(ask(2))
    assert actor.handle(ask(1, reborn=True)) == latest
    assert latest.ask == 2
    assert actor.shown == [(2, 1), (2, 2)]


def test_a_real_brain_told_its_news_twice_goes_on_as_if_told_once() -> None:
    once, twice = (RoleActor(MEMBER, SPACE, 3, (MEMBER,)) for _ in range(2))
    for number in range(1, 8):
        expected = once.handle(ask(number))
        twice.handle(ask(number))
        assert twice.handle(ask(number)) == expected
