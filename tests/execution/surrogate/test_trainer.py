"""The surrogate trainer's own promises, on a fit of a made-up target and on the shipped model."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloop.execution.surrogate.model import Model
from metaloop.execution.surrogate.trainer import SurrogateTrainer
from metaloop.execution.trainer import TrainerSpec, make, make_simulated
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import StopRule, TrainingRequest
from tests.execution.surrogate.synthetic import FLOOR, NOISE, SECONDS, SPLIT_SECONDS, log_excess
from tests.execution.surrogate.test_features import drawn
from tests.execution.trainer_contract import TrainerContract

SHIPPED = TrainerSpec("surrogate", "cpu-tiny", "stdlib")
QUIET = {"matrix_lr": 0.005}


class TestShippedSurrogate(TrainerContract):
    spec = SHIPPED


class TestNoiselessSurrogate:
    spec = TrainerSpec("surrogate", "cpu-tiny", "stdlib#noiseless")

    def test_seeds_do_not_matter(self) -> None:
        trainer = make(self.spec, gpu=False)
        one, other = (trainer.train(TrainingRequest({}, seed=seed)) for seed in (1, 2))
        assert one == other


ASK = """
import sys
from metaloop.execution.trainer import TrainerSpec, describe, make
from metaloop.vocabulary.records import TrainingRequest
from metaloop.vocabulary.seeds import python_stream
spec = TrainerSpec("surrogate", "cpu-tiny", "stdlib")
trainer = make(spec, gpu=False)
def drawn(seed):
    rng = python_stream(seed, "config")
    return {knob.name: knob.sample(rng) for knob in describe(spec).space}
assert not {"torch", "sklearn", "pandas", "pyarrow"} & set(sys.modules), "a simulation pays for these imports"
order = range(12) if sys.argv[1] == "up" else range(11, -1, -1)
results = {i: trainer.train(TrainingRequest(drawn(i), seed=i)) for i in order}
print([results[i] for i in range(12)])
"""


def test_processes_agree_whatever_was_asked_before() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", ASK, order],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONHASHSEED": hashed},
        )
        for order, hashed in (("up", "1"), ("down", "2"))
    ]
    assert said[0].returncode == 0, said[0].stderr
    assert said[0].stdout == said[1].stdout


def test_forgetting_changes_nothing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metaloop.execution.surrogate.trainer.REMEMBERED", 2)
    trainer = SurrogateTrainer(model)
    first = [trainer.train(TrainingRequest(drawn(i), seed=7)) for i in range(6)]
    assert [trainer.train(TrainingRequest(drawn(i), seed=7)) for i in range(6)] == first


def test_a_made_up_target_is_learned(model: Model) -> None:
    trainer = SurrogateTrainer(model, noise=False)
    result = trainer.train(TrainingRequest(QUIET, seed=1, score_on=("val", "holdout", "confirm")))
    expected = FLOOR + math.exp(log_excess(dict(QUIET)))
    assert result.bpb["val"] == pytest.approx(expected, abs=0.06)
    assert result.bpb["holdout"] - result.bpb["val"] == pytest.approx(-0.05, abs=0.01)
    assert result.bpb["confirm"] - result.bpb["val"] == pytest.approx(0.1, abs=0.01)
    assert result.curve[-1].seconds == pytest.approx(SECONDS, rel=0.05)
    assert result.seconds - result.curve[-1].seconds == pytest.approx(3 * SPLIT_SECONDS, rel=0.05)


def test_the_noise_is_as_large_as_recorded(model: Model) -> None:
    trainer = SurrogateTrainer(model)
    results = [trainer.train(TrainingRequest(QUIET, seed=seed)) for seed in range(400)]
    scores = [result.bpb["val"] for result in results if result.state == "ok"]
    assert len(scores) > 350
    known = NOISE * math.exp(log_excess(dict(QUIET)))
    assert statistics.stdev(scores) == pytest.approx(known, rel=0.4)


def test_configurations_on_one_seed_share_noise(model: Model) -> None:
    trainer = SurrogateTrainer(model)
    configs = (QUIET, QUIET | {"beta1": 0.8})
    both = [[trainer.train(TrainingRequest(config, seed=seed)) for config in configs] for seed in range(600)]
    pairs = [[r.bpb["val"] for r in results] for results in both if all(r.state == "ok" for r in results)]
    assert statistics.correlation(*zip(*pairs, strict=True)) == pytest.approx(model.seed_share, abs=0.15)


def test_what_fails_fails(model: Model) -> None:
    trainer = SurrogateTrainer(model)
    states = [trainer.train(TrainingRequest({"matrix_lr": 0.299}, seed=seed)) for seed in range(50)]
    failed = [result for result in states if result.state == "diverged"]
    assert len(failed) > 20
    for result in failed:
        assert result.bpb == {}
        assert all(point.seconds <= result.seconds for point in result.curve)
        assert result.message


@given(index=st.integers(0, 10**6), seed=st.integers(0, 2**31 - 1), share=st.sampled_from((1.0, 0.5, 0.02)))
@settings(max_examples=60, deadline=None)
def test_a_curve_runs_forward(index: int, seed: int, share: float) -> None:
    trainer = make_simulated(SHIPPED)
    request = TrainingRequest(drawn(index), seed, budget_fraction=share)
    slow, fast = trainer.simulate(request, 1.0), trainer.simulate(request, 2.0)
    for result in (slow, fast):
        seconds = [point.seconds for point in result.curve]
        assert seconds == sorted(seconds)
        assert all(0 < s <= result.seconds for s in seconds)
        assert [p.fraction for p in result.curve] == sorted({p.fraction for p in result.curve})
    assert slow.bpb == fast.bpb
    assert slow.seconds == pytest.approx(2 * fast.seconds, rel=1e-4)


@pytest.mark.parametrize("at", [0.1, 0.125, 0.3, 0.75, 0.9, 1.0])
def test_the_stop_rule_judges_one_point(model: Model, at: float) -> None:
    trainer = SurrogateTrainer(model, noise=False)
    whole = trainer.train(TrainingRequest(QUIET, seed=3))
    judged = next(point for point in whole.curve if point.fraction >= at)
    below, above = (
        trainer.train(TrainingRequest(QUIET, seed=3, stop=StopRule(at, judged.bpb + off))) for off in (-1e-6, 0.0)
    )
    assert above == whole
    if judged.fraction < 1:
        assert below.state == "stopped"
        assert below.curve == whole.curve[: whole.curve.index(judged) + 1]
        assert below.seconds == judged.seconds
        assert below.steps == round(judged.fraction * whole.steps)
    else:
        assert below == whole


def test_a_small_budget_scores_worse_and_ends_sooner(model: Model) -> None:
    trainer = SurrogateTrainer(model, noise=False)
    whole, half = (trainer.train(TrainingRequest(QUIET, seed=1, budget_fraction=f)) for f in (1.0, 0.5))
    assert half.bpb["val"] > whole.bpb["val"]
    assert half.steps == pytest.approx(whole.steps / 2, abs=1)
    assert half.seconds < whole.seconds


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (TrainingRequest({}, 1, ("test",)), "unknown split 'test'"),
        (TrainingRequest({}, 1, budget_fraction=0.0), "budget_fraction"),
        (TrainingRequest({"depth": 3}, 1), "unknown knob 'depth'"),
    ],
)
def test_what_cannot_be_served_is_refused(model: Model, request_: TrainingRequest, message: str) -> None:
    with pytest.raises(TrainerError, match=message):
        SurrogateTrainer(model).train(request_)
