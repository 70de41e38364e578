"""What every trainer keeps, written once; a trainer's tests inherit it."""

from __future__ import annotations

import pytest

from metaloop.execution.trainer import Target, Trainer, TrainerSpec, describe, make
from metaloop.vocabulary.code import source_digest
from metaloop.vocabulary.records import StopRule, TrainingRequest
from metaloop.vocabulary.seeds import python_stream


class TrainerContract:
    """Inherit, and give ``spec``."""

    spec: TrainerSpec

    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> Target:
        return describe(cls.spec)

    @pytest.fixture(scope="class")
    @classmethod
    def trainer(cls) -> Trainer:
        return make(cls.spec, gpu=False)

    def test_the_baseline_is_valid_and_scores(self, target: Target, trainer: Trainer) -> None:
        assert target.space.validate(target.space.defaults()) == target.space.defaults()
        result = trainer.train(TrainingRequest({}, seed=1, score_on=("val", "holdout", "confirm")))
        assert result.state == "ok"
        assert set(result.bpb) == {"val", "holdout", "confirm"}
        assert all(0 < score < 20 for score in result.bpb.values())
        assert 0 < result.seconds < target.longest_s

    def test_equal_requests_give_equal_results(self, trainer: Trainer) -> None:
        one, other = (trainer.train(TrainingRequest({}, seed=5)) for _ in range(2))
        assert one.bpb == other.bpb
        assert [p.bpb for p in one.curve] == [p.bpb for p in other.curve]
        assert trainer.train(TrainingRequest({}, seed=6)).bpb != one.bpb

    def test_a_curve_runs_forward_to_the_end(self, trainer: Trainer) -> None:
        curve = trainer.train(TrainingRequest({}, seed=5)).curve
        assert [p.fraction for p in curve] == sorted({p.fraction for p in curve})
        assert curve[-1].fraction == pytest.approx(1.0)
        assert [p.seconds for p in curve] == sorted(p.seconds for p in curve)

    def test_a_hopeless_training_is_stopped_and_has_no_score(self, trainer: Trainer) -> None:
        whole = trainer.train(TrainingRequest({}, seed=5))
        stopped = trainer.train(TrainingRequest({}, seed=5, stop=StopRule(0.25, bpb_at_most=0.01)))
        assert stopped.state == "stopped"
        assert stopped.bpb == {}
        assert stopped.steps < whole.steps
        kept = trainer.train(TrainingRequest({}, seed=5, stop=StopRule(0.25, bpb_at_most=99.0)))
        assert kept.bpb == whole.bpb

    def test_whatever_a_configuration_does_is_a_result(self, target: Target, trainer: Trainer) -> None:
        for index in range(6):
            rng = python_stream(0, "contract", index)
            config = {knob.name: knob.sample(rng) for knob in target.space}
            result = trainer.train(TrainingRequest(config, seed=index))
            assert result.state in ("ok", "stopped", "diverged", "oom", "timeout", "crash")
            assert bool(result.bpb) == (result.state == "ok")


class SandboxedTrainerContract:
    """What a trainer keeps that trains changed code. Inherit, and give ``spec``, ``neutral`` (changed texts that
    compute the same as the target's own), ``changed`` (that compute something else) and ``broken`` (that fail)."""

    spec: TrainerSpec
    neutral: tuple[dict[str, str], ...]
    changed: dict[str, str]
    broken: dict[str, str]

    @pytest.fixture(scope="class")
    @classmethod
    def trainer(cls) -> Trainer:
        return make(cls.spec, gpu=False)

    def test_code_that_computes_the_same_scores_the_same(self, trainer: Trainer) -> None:
        splits = ("val", "holdout", "confirm")
        for seed, code in enumerate(self.neutral):
            plain = trainer.train(TrainingRequest({}, seed=seed, score_on=splits))
            result = trainer.train(TrainingRequest({}, seed=seed, score_on=splits, code=code))
            assert (result.state, result.message) == ("ok", "")
            assert result.bpb == plain.bpb
            assert (result.steps, result.tokens, result.flops) == (plain.steps, plain.tokens, plain.flops)

    def test_equal_requests_with_code_give_equal_scores(self, trainer: Trainer) -> None:
        one, other = (trainer.train(TrainingRequest({}, seed=5, code=self.changed)) for _ in range(2))
        assert one.state == "ok"
        assert one.bpb == other.bpb != trainer.train(TrainingRequest({}, seed=5)).bpb

    def test_a_result_says_what_it_was_made_of(self, trainer: Trainer) -> None:
        target = describe(self.spec)
        hashes = trainer.train(TrainingRequest({}, seed=5, code=self.changed)).hashes
        assert {path: source_digest(path, text) for path, text in self.changed.items()}.items() <= hashes.items()
        assert hashes["data"] == target.identity["data_hash"]
        assert hashes["evaluator"] == target.identity["evaluator"]
        assert hashes["wall"] in ("namespaces", "rlimits")

    def test_there_is_no_early_look_at_changed_code(self, trainer: Trainer) -> None:
        result = trainer.train(TrainingRequest({}, seed=5, code=self.changed, stop=StopRule(0.25, bpb_at_most=0.01)))
        assert (result.state, result.curve) == ("ok", ())

    def test_code_that_fails_is_a_result(self, trainer: Trainer) -> None:
        result = trainer.train(TrainingRequest({}, seed=5, code=self.broken))
        assert (result.state, result.bpb) == ("crash", {})
        assert result.message

    def test_time_is_all_of_it(self, trainer: Trainer) -> None:
        plain = trainer.train(TrainingRequest({}, seed=5))
        result = trainer.train(TrainingRequest({}, seed=5, code=self.changed))
        assert result.seconds > plain.seconds / 2
        assert result.cpu_seconds > 0
