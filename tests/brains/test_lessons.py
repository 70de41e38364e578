"""What members make of lessons: dead ends count as tried, wins are tried first, models are told within bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from metaloop.brains.brain import fingerprint
from metaloop.brains.history import History
from metaloop.brains.model.prompt import MOST_LESSONS, Offer, render
from metaloop.brains.registry import make_brain
from metaloop.files.policies import POLICIES
from metaloop.vocabulary.decisions import Pass, Propose, Review
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.records import Config, Idea, effective
from tests.brains import worlds as w
from tests.brains.objective import member

STRATEGIES = POLICIES["proposer"]["strategy"].choices


def lesson(changes: Config, delta: float | None = 0.02, base: Config | None = None, **fields: Any) -> Lesson:
    known: dict[str, Any] = {"kind": "dead end", "ci95": None, "n": 1, "source": "r/o/seed-1", **fields}
    return Lesson(f"{sorted(changes.items())}"[:12], changes=changes, base=base or {}, delta=delta, **known)


def proven(name: str, changes: Config) -> Idea:
    return Idea(name, "a whole trunk", "lesson: r", changes, proven=True)


def test_a_dead_end_is_a_trial_of_its_own_head_without_a_score() -> None:
    history = History(w.SPACE)
    (trial,) = history.recall([lesson({"lr": 0.02}, base={"beta": 0.8}), lesson({"lr": 0.03}, -0.1, kind="win")])
    assert history.knows({"lr": 0.02, "beta": 0.8})
    assert not history.knows({"lr": 0.02})
    assert not history.knows({"lr": 0.03})
    assert history.tried_from(fingerprint({"beta": 0.8}), 10) == [trial]
    assert (trial.delta, trial.moves) == (0.02, frozenset({("lr", "+")}))
    assert not history.scores
    assert not history.failed


def test_a_dead_end_that_diverged_has_no_delta() -> None:
    (trial,) = History(w.SPACE).recall([lesson({"lr": 1.0}, None, state="diverged")])
    assert (trial.delta, trial.outcome.state, trial.outcome.bpb) == (None, "diverged", None)


def test_a_local_proposer_does_not_walk_into_known_dead_ends() -> None:
    numeric = [knob for knob in w.SPACE if knob.numeric and knob.name != "decay"]
    dead = tuple(
        lesson({knob.name: knob.from_unit(knob.to_unit(knob.default) + step)})
        for knob in numeric
        for step in (0.1, -0.1)
    )
    for seed in range(20):
        subject = member("proposer", strategy="local", follow_wins=0.0)
        told = make_brain(subject, w.SPACE, seed, ()).decide(w.propose(lessons=dead))
        assert isinstance(told, Propose)
        assert set(told.changes) <= {"decay", "tied", "act"}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_tries_what_was_confirmed_first_and_once(strategy: str) -> None:
    brain = make_brain(member("proposer", strategy=strategy, idea_share=0.0, startup_trials=2), w.SPACE, 3, ())
    ideas = (proven("l-1", {"lr": 0.05, "depth": 6}), proven("l-2", {"beta": 0.7}), Idea("i", "x", "p", {"depth": 2}))
    first = brain.decide(w.propose(0, lessons=(lesson({"lr": 0.02}),), ideas=ideas))
    assert isinstance(first, Propose)
    assert (first.idea, first.changes) == ("l-1", {"lr": 0.05, "depth": 6})
    trained = w.outcome(1, first.changes, 0.01)
    second = brain.decide(w.propose(1, (trained,), ideas=ideas[1:]))
    assert isinstance(second, Propose)
    assert second.idea == "l-2"
    third = brain.decide(w.propose(2, (w.outcome(2, {"beta": 0.7}, 0.01),), ideas=ideas))
    assert isinstance(third, Propose | Pass)
    assert not isinstance(third, Propose) or third.idea in (None, "i")


def test_a_confirmed_change_set_that_the_head_holds_already_is_not_tried() -> None:
    brain = make_brain(member("proposer"), w.SPACE, 0, ())
    seen = w.propose(head=w.head({"lr": 0.05}), ideas=(proven("l-1", {"lr": 0.05}),))
    decision = brain.decide(seen)
    assert not isinstance(decision, Propose) or decision.idea is None


def test_a_reviewer_refuses_what_was_a_dead_end_from_this_head() -> None:
    def vote(**fields: Any) -> Review:
        seen = msgspec.structs.replace(w.review({"lr": 0.03}), **fields)
        review = make_brain(member("reviewer"), w.SPACE, 0, ()).decide(seen)
        assert isinstance(review, Review)
        return review

    assert vote().approve
    assert vote(lessons=(lesson({"lr": 0.02}, base={"beta": 0.8}),)).approve
    refused = vote(lessons=(lesson({"lr": 0.02}),))
    assert not refused.approve
    assert "lesson" in refused.reason
    assert "+0.0200 bpb" in refused.reason


def test_memory_binds_lessons_too() -> None:
    history = History(w.SPACE)
    history.recall([lesson({"lr": 0.02})])
    history.fold([w.BASELINE, *(w.outcome(i, {"depth": i}, 0.01) for i in range(1, 4))])
    tried = [trial.outcome.changes for trial in history.tried_from(fingerprint({}), 3)]
    assert {"lr": 0.02} not in tried
    assert len(history.tried_from(fingerprint({}), 4)) == 4


def test_a_model_is_told_within_bounds_wins_first_and_one_seed_said() -> None:
    lessons = [
        *(lesson({"depth": n % 12 + 1, "width": n + 16}) for n in range(100)),
        lesson({"lr": 0.5}, None, state="diverged"),
        lesson({"lr": 0.03}, -0.05, kind="win", ci95=(-0.06, -0.04), n=4),
    ]
    text = render(w.propose(lessons=tuple(lessons)), [], Offer(w.SPACE.knobs), 40_000)
    section = text.split("## What earlier organizations found\n\n")[1].split("\n\n")[0].splitlines()
    assert section[0] == "- confirmed win: lr=0.03 over the baseline: -0.0500 [-0.0600, -0.0400], n = 4"
    assert section[1] == "- dead end: lr=0.5 over the baseline: diverged, no score"
    assert section[2].endswith("over the baseline: +0.0200, one seed only")
    assert section[-1] == f"- and {102 - MOST_LESSONS} more"
    assert len(section) == MOST_LESSONS + 1
    short = render(w.propose(lessons=tuple(lessons)), [], Offer(w.SPACE.knobs), 2_000)
    assert len(short) < len(text)
    assert len(short.split("## What earlier organizations found\n\n")[1].split("\n\n")[0]) < 2_000 // 8 + 30
    assert "earlier organizations" not in render(w.propose(), [], Offer(w.SPACE.knobs), 40_000)


def test_effective_configs_of_dead_ends_drop_defaults() -> None:
    history = History(w.SPACE)
    history.recall([lesson({"beta": 0.9}, base={"beta": 0.8, "lr": 0.02})])
    assert history.knows(effective({"lr": 0.02}, {}, w.DEFAULTS))
