"""Levels: chained over champions, shrunk for luck, and who may be a parent."""

from __future__ import annotations

import random

import pytest

from metaloop.meta.evolution.standing import Levels, opening_levels
from metaloop.meta.racing.halving import standard_terms
from metaloop.meta.racing.race import RaceState, begin, next_jobs, observe
from metaloop.meta.racing.terms import Observation


def raced(truth: dict[str, float], champion: str, noise: float) -> RaceState:
    challengers = tuple(name for name in truth if name != champion)
    state = begin(standard_terms(champion, challengers, (), 10_000.0, 1.0))
    while jobs := next_jobs(state):
        rng = [random.Random(f"{j.name} {j.block}") for j in jobs]
        scores = [truth[j.name] + r.gauss(0, noise) for j, r in zip(jobs, rng, strict=True)]
        state = observe(state, [Observation(j.name, j.block, s, 1.0) for j, s in zip(jobs, scores, strict=True)])
    return state


def test_the_opening_s_best_mean_is_champion_at_level_zero() -> None:
    levels = opening_levels({"a": [1.0, 1.2, 0.9], "b": [2.0, 2.1, 1.9], "c": [0.0, None, 0.1]})
    assert levels.champion == "b"
    assert levels.level["b"] == 0.0
    assert levels.best(2) == ["b", "a"]
    assert levels.level["c"] < levels.level["a"] < 0.0


def test_an_accepted_challenger_is_champion_at_its_level_above_the_old_one() -> None:
    levels = Levels("old", {"old": 0.3})
    levels.learn(raced({"old": 1.0, "new": 1.5, "same": 1.0}, "old", 0.1))
    assert levels.champion == "new"
    assert levels.level["new"] == pytest.approx(0.8, abs=0.15)
    assert levels.best(3)[0] == "new"


def test_lucky_twins_are_drawn_together() -> None:
    levels = Levels("old", {"old": 0.0})
    state = raced({"old": 1.0, **{f"twin-{i}": 1.0 for i in range(8)}}, "old", 0.3)
    levels.learn(state)
    raw = [sum(state.seen[(n, b)].score or 0.0 for b in range(4)) / 4 for n in levels.level if n != "old"]
    shrunk = [level for name, level in levels.level.items() if name != "old"]
    assert levels.champion == "old"
    assert max(shrunk) - min(shrunk) < 0.8 * (max(raw) - min(raw))
