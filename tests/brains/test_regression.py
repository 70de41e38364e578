"""The regression on whole configurations."""

from __future__ import annotations

import numpy as np
import pytest

from metaloop.brains.encoding import Encoding
from metaloop.brains.regression import Regression, log_improvement
from tests.brains.objective import make_space

SPACE = make_space()
ENCODING = Encoding(SPACE)
BEST = 0.3


def rows(count: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    share = np.random.default_rng(seed).random((count, ENCODING.size))
    return np.where(ENCODING.numeric, share, np.floor(share * ENCODING.choices))


def bowl(at: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Two knobs matter: a number that is best at ``BEST``, and a choice whose second value is better."""
    return np.stack([4.0 * (at[:, 0] - BEST) ** 2 - 0.5 * (at[:, 3] == 1), at[:, 1]], 1)


def fitted(count: int) -> Regression:
    at = rows(count)
    return Regression(ENCODING, at, bowl(at), np.full(count, 0.01))


def test_it_goes_through_what_it_saw_and_is_surer_there() -> None:
    at = rows(40)
    mean, spread = fitted(40).predict(at)
    assert np.abs(mean - bowl(at)).max() < 0.25
    assert spread.max() < fitted(40).predict(rows(40, seed=1))[1].min()


def test_more_trainings_predict_better_what_was_not_seen() -> None:
    unseen = rows(200, seed=1)
    errors = [float(np.square(fitted(n).predict(unseen)[0][:, 0] - bowl(unseen)[:, 0]).mean()) for n in (10, 40, 160)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.3 * float(bowl(unseen)[:, 0].var())


def test_it_learns_which_knobs_matter() -> None:
    relevance = fitted(120)._relevance
    assert set(np.argsort(-relevance)[:2]) == {0, 3}


def test_believing_makes_surer_and_changes_no_expectation() -> None:
    model, pending, others = fitted(40), rows(3, seed=2), rows(5, seed=3)
    believer = model.believing(pending, 0.01)
    assert (believer.predict(pending)[1] < 0.7 * model.predict(pending)[1]).all()
    assert believer.predict(others)[0] == pytest.approx(model.predict(others)[0], abs=1e-6)


def test_improvement_grows_with_a_better_mean_and_with_doubt() -> None:
    better, worse, doubtful = log_improvement(0.0, np.array([-0.5, 0.5, 0.5]), np.array([0.2, 0.2, 1.0]))
    assert better > doubtful > worse


def test_improvement_is_the_mean_of_what_is_below() -> None:
    draws = np.random.default_rng(0).normal(0.2, 0.7, 400_000)
    expected = np.maximum(0.0, -0.1 - draws).mean()
    assert np.exp(log_improvement(-0.1, np.array([0.2]), np.array([0.7])))[0] == pytest.approx(expected, rel=0.01)
