"""Held-out figures on a made-up target: good where it can be known, honest about noise."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from metaloop.execution.recording.design import Recorded
from metaloop.execution.surrogate.data import folds, prepare
from metaloop.execution.surrogate.fit import fit_surrogate
from metaloop.execution.surrogate.model import Model
from metaloop.execution.surrogate.noise import PRIOR_SHARE, seed_share
from metaloop.execution.surrogate.quality import Quality, cross_validate, held_out
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import TrainingRequest
from tests.execution.surrogate.synthetic import FEATURES, SMALL, SOURCE, recording, trained
from tests.execution.surrogate.test_features import drawn


@pytest.fixture(scope="module")
def quality(rows: list[Recorded]) -> Quality:
    return cross_validate(rows, SOURCE, SMALL, count=2)


def test_a_smooth_target_is_ranked_well(quality: Quality) -> None:
    assert quality.rank > 0.9
    assert quality.r2 > 0.8
    assert quality.failure_auc > 0.9
    assert quality.failure_brier < quality.failure_brier_constant
    assert quality.seconds_error < 0.05


def test_intervals_cover_what_they_say(quality: Quality) -> None:
    for interval in quality.intervals:
        assert interval.coverage == pytest.approx(interval.level, abs=0.13)


def test_figures_print_as_a_table(quality: Quality) -> None:
    assert "rank correlation, all" in quality.table()
    assert len(quality.table().splitlines()) == len(quality.lines())


def test_a_model_is_judged_on_fresh_trainings(model: Model) -> None:
    fresh = [trained(10_000 + i, "space", TrainingRequest(drawn(i), i)) for i in range(60)]
    assert held_out(model, fresh).rank > 0.9


def test_repeats_stay_on_one_side(rows: list[Recorded]) -> None:
    prepared = prepare(rows, FEATURES)
    fold = folds(prepared, 5)
    for group in np.unique(prepared.group):
        assert len(set(fold[prepared.group == group])) == 1
    assert set(fold) == set(range(5))


def test_noise_shared_by_a_seed_is_found() -> None:
    rng = np.random.default_rng(0)
    seeds, configurations = np.repeat(np.arange(60), 8), np.tile(np.arange(8), 60)
    own, common = rng.standard_normal(480), np.repeat(rng.standard_normal(60), 8)
    for share in (0.2, 0.8):
        z = math.sqrt(share) * common + math.sqrt(1 - share) * own
        expected = (59 * share + 30 * PRIOR_SHARE) / 89
        assert seed_share(z, seeds, configurations) == pytest.approx(expected, abs=0.12)
    assert seed_share(own, np.arange(480), configurations) == PRIOR_SHARE


def test_too_little_or_foreign_data_is_refused() -> None:
    rows = recording(1)
    with pytest.raises(TrainerError, match="too few"):
        fit_surrogate(rows[:20], SOURCE, SMALL)
    with pytest.raises(TrainerError, match="FLOPs a step"):
        fit_surrogate(rows, msgspec.structs.replace(SOURCE, vocab=300), SMALL)
