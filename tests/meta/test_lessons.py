"""Lessons from journals and confirmations: what counts as what, on which split, with which interval."""

from __future__ import annotations

from typing import Any

import pytest

from metaloop.actors.lessons import MOST_TRIED, proven_ideas
from metaloop.actors.run_context import Granted
from metaloop.actors.state import replay
from metaloop.files.journal import encode
from metaloop.files.policies import defaults
from metaloop.files.run_folder import Confirmation
from metaloop.meta.lessons import differences, lessons_of, pooled
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.organization import Member, Organization, RoleKind
from metaloop.vocabulary.records import TrainingResult
from tests.driver import Driver, score


def member(kind: RoleKind, **policy: Any) -> Member:
    return Member(kind, kind, kind, {**defaults(kind), **policy}, "scripted", "")


def organization(lessons: bool = False) -> Organization:
    members = (member("proposer", strategy="local"), member("reviewer"), member("merger"))
    return Organization("test", "", "", members, quorum=1, lessons=lessons)


def lived(seed: int = 0, lessons: tuple[Lesson, ...] = (), wants: bool = True) -> Driver:
    driver = Driver(organization(wants), seed, 40.0, granted=Granted(lessons=lessons))
    driver.run()
    return driver


def confirmations(driver: Driver, *, holdout: float = 1.0, noise: float = 0.001) -> list[Confirmation]:
    """Every trunk commit on three pairs; ``confirm`` says the opposite of ``holdout``."""
    merges = [e for e in driver.journal.events if isinstance(e, ev.Merged)]
    commits = [merges[0].parent, *(m.commit for m in merges)]
    found = []
    for number, commit in enumerate(commits):
        for pair in range(3):
            value = 3.0 - holdout * 0.01 * number + noise * ((number * 7 + pair * 3) % 5)
            scores = {"holdout": value, "confirm": 6.0 - value}
            found.append(Confirmation(commit, {}, pair, pair, "ok", scores, 1.0))
    return found


def of(driver: Driver, given: list[Confirmation]) -> list[Lesson]:
    return pooled(lessons_of(driver.journal.events, given, "r/test/seed-0"))


def test_dead_ends_are_what_was_trained_discarded_and_no_better() -> None:
    driver = lived()
    state = driver.state
    dead = [one for one in of(driver, []) if one.kind == "dead end"]
    assert dead
    discarded = [p for p in state.proposals.values() if p.status == "discarded"]
    for one in dead:
        assert one.n >= 1
        (proposal,) = [p for p in discarded if p.proposal.changes == one.changes and _base(state, p) == one.base][:1]
        if one.delta is None:
            assert one.state in ("diverged", "stopped")
        else:
            assert one.delta >= 0
            assert one.delta == pytest.approx(state.scores[proposal.key][0] - state.scores[_key(state, proposal)][0])
            assert (one.ci95 is None) == (one.n == 1)
            assert one.one_seed == (one.n == 1)


def _key(state: Any, proposal: Any) -> str:
    return str(state.commits[proposal.proposal.base])


def _base(state: Any, proposal: Any) -> dict[str, Any]:
    known = {entry.key: entry.config for entry in state.proposals.values()}
    return dict(known.get(_key(state, proposal), {}))


def test_a_crash_is_nobodys_lesson() -> None:
    def crashes(request: Any) -> TrainingResult:
        return TrainingResult("crash", 1.0) if request.config else score(request)

    driver = Driver(organization(), 0, 40.0, train=crashes)
    driver.run()
    assert not of(driver, [])


def test_wins_are_measured_on_holdout_and_never_on_confirm() -> None:
    driver = lived()
    lessons = of(driver, confirmations(driver))
    wins = [one for one in lessons if one.kind == "win"]
    merges = [e for e in driver.journal.events if isinstance(e, ev.Merged)]
    whole = [one for one in wins if one.whole]
    assert [one.changes for one in whole] == [merges[-1].config]
    assert whole[0].base == {}
    assert whole[0].delta == pytest.approx(-0.01 * len(merges), abs=0.004)
    assert all(one.delta is not None and one.delta < 0 and one.ci95 and one.ci95[1] < 0 for one in wins)
    assert all(one.n == 3 for one in wins)
    # On ``confirm`` all of this is reversed: had it been read, everything would be a loss.
    reversed_ = of(driver, confirmations(driver, holdout=-1.0))
    assert not [one for one in reversed_ if one.kind == "win"]
    assert len([one for one in reversed_ if one.kind == "unsure"]) >= len(merges)


def test_what_confirmation_cannot_tell_from_nothing_is_unsure() -> None:
    driver = lived()
    unsure = of(driver, confirmations(driver, holdout=0.0, noise=0.02))
    assert not [one for one in unsure if one.kind == "win" and not one.whole]
    assert [one for one in unsure if one.kind == "unsure"]
    single = [c for c in confirmations(driver) if c.pair == 0]
    assert {one.kind for one in of(driver, single)} <= {"unsure", "dead end"}
    assert all(one.ci95 is None and one.one_seed for one in of(driver, single) if one.kind == "unsure")


def found(delta: float | None, source: str, kind: str = "dead end", **fields: Any) -> tuple[Lesson, tuple[float, ...]]:
    values = () if delta is None else (delta,)
    return Lesson("x", kind, {"lr": 0.1}, {}, delta, None, 1, source, **fields), values  # type: ignore[arg-type]


def test_the_same_change_in_several_org_runs_is_one_lesson_over_them() -> None:
    (one,) = pooled([found(0.01, "a"), found(0.03, "b"), found(0.02, "c")])
    assert (one.n, one.org_runs, one.delta) == (3, 3, pytest.approx(0.02))
    assert one.ci95 is not None
    assert one.ci95[0] < 0.02 < one.ci95[1]
    assert one.source == "a and 2 more"
    assert pooled([found(0.01, "a")]) == [found(0.01, "a")[0]]


def test_contradictions_are_no_lesson_and_a_score_counts_before_a_failure() -> None:
    assert pooled([found(0.01, "a"), found(-0.05, "b")]) == []
    (one,) = pooled([found(None, "a", state="diverged"), found(0.02, "b")])
    assert (one.state, one.delta, one.n) == ("ok", 0.02, 1)
    (failed,) = pooled([found(None, "a", state="diverged"), found(None, "b", state="diverged")])
    assert (failed.state, failed.delta, failed.n, failed.org_runs) == ("diverged", None, 2, 2)


def test_a_dead_end_and_a_win_of_one_change_are_a_win_only_if_they_agree() -> None:
    (one,) = pooled([found(0.01, "a"), found(-0.05, "b", "win")])
    assert one.kind == "unsure"
    (won,) = pooled([found(-0.051, "a", "win"), found(-0.05, "b", "win"), found(-0.049, "c", "win")])
    assert won.kind == "win"


def test_targets_differ_by_what_was_trained_not_by_where() -> None:
    here = {"trainer": "nanogpt", "preset": "cpu-tiny", "data_hash": "1", "machine": "x86_64"}
    assert differences(here, {**here, "machine": "arm64"}) == ""
    assert differences(here, {**here, "data_hash": "2"}) == "data_hash 1 and 2"


def win(number: int, delta: float, **fields: Any) -> Lesson:
    return Lesson(f"w{number}", "win", {"depth": number}, {}, delta, (delta - 0.001, -0.001), 4, "r", **fields)


def test_whole_trunks_come_first_then_the_most_gained_and_not_too_many() -> None:
    lessons = [win(1, -0.01), win(2, -0.05), win(3, -0.02, whole=True), *(win(n, -0.001) for n in range(4, 12))]
    ideas = proven_ideas([*lessons, Lesson("u", "unsure", {"depth": 8}, {}, -0.9, None, 1, "r")])
    assert [idea.changes["depth"] for idea in ideas[:3]] == [3, 2, 1]
    assert len(ideas) == MOST_TRIED
    assert all(idea.proven for idea in ideas)


def test_lessons_are_journaled_and_a_replay_knows_them() -> None:
    lessons = (win(6, -0.05), Lesson("d", "dead end", {"beta": 0.8}, {}, 0.1, None, 1, "r"))
    driver, again = lived(3, lessons), lived(3, lessons)
    events = driver.journal.events
    assert [encode(e) for e in events] == [encode(e) for e in again.journal.events]
    assert [e.lessons for e in events if isinstance(e, ev.LessonsGiven)] == [lessons]
    back = replay(events, driver.state.teams)
    assert back.lessons == lessons
    assert back == driver.state
    taken = [e.proposal for e in events if isinstance(e, ev.Proposed) and e.proposal.idea]
    assert [p.changes for p in taken] == [{"depth": 6}]
    assert not [e for e in events if isinstance(e, ev.Proposed) and e.config == {"beta": 0.8}]


def test_lessons_reach_a_member_born_again() -> None:
    lessons = (win(6, -0.05), Lesson("d", "dead end", {"beta": 0.8}, {}, 0.1, None, 1, "r"))
    driver = Driver(organization(True), 3, 40.0, granted=Granted(lessons=lessons))
    driver.run(until=lambda d: d.now > 8)
    driver.crash_and_resume()
    driver.run()
    assert len([e for e in driver.journal.events if isinstance(e, ev.LessonsGiven)]) == 1
    assert not [e for e in driver.journal.events if isinstance(e, ev.Proposed) and e.config == {"beta": 0.8}]


def test_who_does_not_want_them_is_not_told() -> None:
    lessons = (win(6, -0.05),)
    deaf, alone = lived(3, lessons, wants=False), lived(3, wants=False)
    assert [encode(e) for e in deaf.journal.events] == [encode(e) for e in alone.journal.events]
