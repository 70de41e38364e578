"""What trainings tell a model of whole configurations."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from metaloop.brains.encoding import Encoding
from metaloop.brains.evidence import GUESS_NOISE, NOISE, Trainings, normal_scores
from metaloop.vocabulary.records import CurvePoint, Outcome
from tests.brains import worlds as w

ENCODING = Encoding(w.SPACE)


def trained(number: int, at_look: float, bpb: float, seconds: float = 4.0) -> Outcome:
    curve = (CurvePoint(0.25, seconds / 4, at_look), CurvePoint(1.0, seconds, bpb))
    return w.outcome(number, {"lr": 0.01 + number / 99}, 0.0, bpb=bpb, curve=curve, seconds=seconds)


def stopped(number: int, at_look: float, seconds: float = 1.0) -> Outcome:
    curve = (CurvePoint(0.25, seconds, at_look),)
    return w.outcome(number, {"lr": 0.01 + number / 99}, None, state="stopped", curve=curve, seconds=seconds)


def seen(*outcomes: Outcome) -> Trainings:
    trainings = Trainings(ENCODING, 0.25)
    for outcome in outcomes:
        trainings.take(outcome)
    return trainings


def test_what_was_stopped_is_guessed_from_those_that_went_on() -> None:
    pairs = [trained(i, 4.0 + i, 2.0 + 0.6 * i) for i in range(1, 8)]
    evidence = seen(*pairs, stopped(20, 9.5)).evidence(99)
    assert evidence.scores[-1] == pytest.approx(2.0 + 0.6 * 5.5, abs=0.02)
    assert evidence.noise.tolist() == [NOISE] * 7 + [GUESS_NOISE]
    assert evidence.scored.tolist() == [True] * 7 + [False]


def test_with_one_to_compare_half_of_a_difference_is_left_at_the_end() -> None:
    evidence = seen(trained(1, 4.0, 3.0), stopped(2, 5.0)).evidence(99)
    assert evidence.scores[1] == pytest.approx(3.5)


def test_a_stopped_training_would_have_gone_on_at_its_pace_and_a_failed_one_tells_nothing() -> None:
    failed = w.outcome(3, {"lr": 0.9}, None, seconds=0.1)
    evidence = seen(trained(1, 4.0, 3.0, 4.0), stopped(2, 5.0, 3.0), failed).evidence(99)
    assert np.exp(evidence.log_seconds[:2]).tolist() == pytest.approx([4.0, 12.0])
    assert evidence.log_seconds[2] == pytest.approx(np.median(evidence.log_seconds[:2]))
    assert evidence.scores[2] == math.inf


def test_a_score_replaces_the_guess_and_nothing_replaces_a_score() -> None:
    trainings = seen(trained(1, 4.0, 3.0), stopped(2, 5.0))
    ended = msgspec.structs.replace(stopped(2, 5.0), state="ok", bpb=2.5)
    assert trainings.take(stopped(2, 5.0)) is None
    assert trainings.take(ended) == 1
    assert trainings.take(ended) is None
    assert trainings.evidence(99).scores.tolist() == [3.0, 2.5]


def test_of_too_many_the_best_and_the_latest_are_kept() -> None:
    outcomes = [trained(i, 5.0, 2.0 + (i if i != 3 else 0.5)) for i in range(1, 21)]
    every = seen(*outcomes)
    kept = every.evidence(6)
    assert kept.rows.tolist() == [every.rows[i].tolist() for i in (0, 1, 2, 17, 18, 19)]
    assert len(kept.rows) == len(kept.scores) == len(kept.noise) == 6


@pytest.mark.parametrize("most", [2, 3, 4])
def test_a_score_is_kept_where_guesses_are_better_and_later(most: int) -> None:
    """An evolution that had set the memory to 1 died of a proposer that had nothing to stand on."""
    better = [stopped(number, 2.0) for number in range(2, 9)]
    kept = seen(trained(1, 4.0, 3.0), *better).evidence(most)
    assert len(kept.scores) == most
    assert kept.scored.tolist().count(True) == 1
    assert min(kept.scores) < 3.0
    assert kept.scores[kept.scored].tolist() == [3.0]


def test_normal_scores_depend_on_ranks_only_and_share_ties() -> None:
    scores = normal_scores(np.array([2.0, math.inf, 1.0, math.inf, 1e9]))
    assert scores[2] < scores[0] < scores[4] < scores[1]
    assert scores[1] == scores[3]
    assert normal_scores(np.array([3.0, 1.0, 2.0])).tolist() == normal_scores(np.array([3e5, -1.0, 2.0])).tolist()
