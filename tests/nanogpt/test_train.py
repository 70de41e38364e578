"""Training: bitwise repetition, final states, budgets, and every knob at its ends."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch

import nanogpt.train as train_module
from nanogpt.knobs import KNOBS, KnobError, Value
from nanogpt.prepare import Corpus
from nanogpt.presets import PRESETS, Budget, PresetError
from nanogpt.results import STATES
from nanogpt.train import CurvePoint, StopRule, TrainRequest, TrainResult, train


def repeatable(result: TrainResult) -> dict[str, object]:
    """Everything of a result that does not depend on the clock or on the process."""
    kept = result.to_dict()
    for name in ("seconds", "cpu_seconds", "startup_seconds", "peak_bytes"):
        del kept[name]
    for point in kept["curve"]:
        del point["seconds"]
    return kept


def micro(**changes: object) -> TrainRequest:
    return dataclasses.replace(TrainRequest("cpu-micro", {}, 0), **changes)


def test_a_plain_training_learns_and_adds_up(corpus: Corpus) -> None:
    points: list[CurvePoint] = []
    result = train(micro(score_on=("val", "holdout")), corpus, on_progress=points.append)
    assert result.state == "ok"
    assert set(result.bpb) == {"val", "holdout"}
    assert result.curve == tuple(points)
    assert [p.fraction for p in points] == sorted(p.fraction for p in points)
    assert points[-1].fraction == 1
    assert points[-1].val_bpb < points[0].val_bpb < 8.5
    assert result.tokens == result.steps * 16 * 32
    assert result.flops == pytest.approx(PRESETS["cpu-micro"].budget.amount, rel=0.05)
    assert 0 < result.startup_seconds < result.seconds
    assert result.peak_bytes > 2**20


@pytest.mark.parametrize(
    "knobs",
    [{}, {"matrix_optimizer": "muon", "value_embeddings": "gated", "position": "rope", "window_pattern": "SL"}],
    ids=["plain", "modern"],
)
def test_same_seed_same_bits_whatever_came_before(corpus: Corpus, knobs: dict[str, Value]) -> None:
    first = train(micro(knobs=knobs), corpus)
    torch.manual_seed(123)
    train(micro(knobs={"batch_scale": 0.5, "width_scale": 2.0}, seed=9), corpus)
    again = train(micro(knobs=knobs), corpus)
    assert repeatable(first) == repeatable(again)
    assert repeatable(first) != repeatable(train(micro(knobs=knobs, seed=1), corpus))


def test_same_bits_in_another_process(corpus: Corpus, tmp_path: Path, text_file: Path) -> None:
    from nanogpt.prepare import load_corpus

    command = [sys.executable, "-m", "nanogpt.train", "--preset", "cpu-micro", "--json", "--threads", "1"]
    command += ["--data", str(text_file), "--cache", str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    there = json.loads(done.stdout)
    here = json.loads(json.dumps(train(micro(), load_corpus(str(text_file), tmp_path / "cache")).to_dict()))
    assert there["bpb"] == here["bpb"]
    assert [p["val_bpb"] for p in there["curve"]] == [p["val_bpb"] for p in here["curve"]]


def test_a_training_leaves_global_random_numbers_alone(corpus: Corpus) -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    before = (torch.rand(1).item(), np.random.rand())
    torch.manual_seed(5)
    np.random.seed(5)
    train(micro(), corpus)
    assert (torch.rand(1).item(), np.random.rand()) == before


def _ends(name: str) -> list[Value]:
    knob = KNOBS[name]
    if knob.kind == "choice":
        return list(knob.choices)
    return [False, True] if knob.kind == "bool" else [knob.low, knob.high]


# Knobs that only act beside another one.
COMPANIONS: dict[str, dict[str, Value]] = {
    "muon_momentum": {"matrix_optimizer": "muon"},
    "head_lr": {"tied_head": False},
    "window_pattern": {"depth_scale": 2.0},
    "rope_base": {"position": "rope"},
    "value_embedding_beta1": {"value_embeddings": "plain"},
    "value_embedding_beta2": {"value_embeddings": "plain"},
    "value_embedding_weight_decay": {"value_embeddings": "gated"},
}


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_at_its_ends_ends_in_a_state_and_acts(corpus: Corpus, name: str) -> None:
    results = [
        train(micro(knobs=COMPANIONS.get(name, {}) | {name: value}, budget_fraction=0.25), corpus)
        for value in _ends(name)
    ]
    assert all(r.state in ("ok", "diverged") for r in results), [r.message for r in results]
    outcomes = {(r.state, r.steps, r.message, *r.bpb.values()) for r in results}
    assert len(outcomes) == len(results), f"{name} changes nothing"


@pytest.mark.slow
def test_all_ends_at_once(corpus: Corpus) -> None:
    random = np.random.default_rng(0)
    for _ in range(12):
        knobs = {name: _ends(name)[int(random.integers(len(_ends(name))))] for name in KNOBS}
        result = train(micro(knobs=knobs, budget_fraction=0.25), corpus)
        assert result.state in ("ok", "diverged"), result.message


def test_a_hopeless_rate_diverges(corpus: Corpus) -> None:
    knobs = {"embedding_lr": 1.0, "warmup_fraction": 0.0}
    result = train(micro(knobs=knobs), corpus)
    assert result.state == "diverged"
    assert result.bpb == {}
    assert "loss" in result.message or "bpb" in result.message


def test_non_finite_loss_diverges(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_module._Training, "forward_backward", lambda self: torch.tensor(math.nan))
    result = train(micro(), corpus)
    assert (result.state, result.steps, result.curve) == ("diverged", 1, ())


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (MemoryError("no memory"), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory"), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"), "oom"),
        (ZeroDivisionError("a bug"), "crash"),
    ],
)
def test_failures_become_states(corpus: Corpus, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str) -> None:
    def fail(self: object) -> torch.Tensor:
        raise error

    monkeypatch.setattr(train_module._Training, "forward_backward", fail)
    result = train(micro(), corpus)
    assert result.state == state
    assert str(error) in result.message
    assert result.parameters > 0


def test_time_limit(corpus: Corpus) -> None:
    result = train(micro(time_limit_s=0.0), corpus)
    assert (result.state, result.steps, result.bpb) == ("timeout", 1, {})


def test_stop_rule_is_asked_once_at_its_point(corpus: Corpus) -> None:
    whole = train(micro(), corpus)
    at = next(p for p in whole.curve if p.fraction >= 0.3)
    stopped = train(micro(stop=StopRule(0.3, at.val_bpb - 1e-6)), corpus)
    assert (stopped.state, stopped.bpb) == ("stopped", {})
    assert stopped.curve[-1].val_bpb == at.val_bpb
    assert stopped.seconds < whole.seconds * 1.5
    kept = train(micro(stop=StopRule(0.3, at.val_bpb)), corpus)
    assert kept.bpb == whole.bpb
    # Earlier points are worse than the bound, and are not asked.
    assert whole.curve[0].val_bpb > at.val_bpb


def test_budget_fraction_is_a_small_complete_training(corpus: Corpus) -> None:
    half, whole = train(micro(budget_fraction=0.5), corpus), train(micro(), corpus)
    assert half.steps == pytest.approx(whole.steps / 2, abs=1)
    assert half.curve[-1].fraction == 1


@pytest.mark.parametrize(
    "budget", [Budget("steps", 7), Budget("tokens", 7 * 16 * 32), Budget("seconds", 0.2)], ids=lambda b: b.kind
)
def test_other_budgets(corpus: Corpus, monkeypatch: pytest.MonkeyPatch, budget: Budget) -> None:
    small = dataclasses.replace(PRESETS["cpu-micro"], budget=budget)
    monkeypatch.setattr(train_module, "preset", lambda name: small)
    result = train(micro(), corpus)
    assert result.state == "ok"
    assert result.curve[-1].fraction == 1
    if budget.kind == "seconds":
        assert 0.2 <= result.curve[-1].seconds < 5
    else:
        assert result.steps == 7


def test_gradient_accumulation_is_one_large_batch(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(micro(), corpus)
    pieces = dataclasses.replace(PRESETS["cpu-micro"], micro_batch=4)
    monkeypatch.setattr(train_module, "preset", lambda name: pieces)
    assert train(micro(), corpus).bpb["val"] == pytest.approx(whole.bpb["val"], abs=1e-3)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (micro(knobs={"nope": 1}), KnobError),
        (micro(preset="cpu-tinny"), PresetError),
        (micro(score_on=("test",)), ValueError),
        (micro(budget_fraction=0.0), ValueError),
    ],
)
def test_invalid_requests_raise(corpus: Corpus, request_: TrainRequest, error: type[Exception]) -> None:
    with pytest.raises(error):
        train(request_, corpus)


def test_errors_of_the_listener_reach_the_caller(corpus: Corpus) -> None:
    def listen(point: CurvePoint) -> None:
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        train(micro(), corpus, on_progress=listen)


def test_too_short_a_corpus_is_a_crash_with_a_reason(corpus: Corpus) -> None:
    short = dataclasses.replace(
        corpus, splits=MappingProxyType({name: tokens[:20] for name, tokens in corpus.splits.items()})
    )
    result = train(micro(), short)
    assert result.state == "crash"
    assert "too few" in result.message


def test_states_are_the_documented_ones() -> None:
    assert STATES == ("ok", "stopped", "diverged", "oom", "timeout", "crash")


@pytest.mark.slow
def test_cpu_tiny_repays_a_better_configuration(corpus: Corpus) -> None:
    better = {"matrix_optimizer": "muon", "matrix_lr": 0.02, "embedding_lr": 0.02}
    baseline = train(TrainRequest("cpu-tiny", {}, 0), corpus)
    changed = train(TrainRequest("cpu-tiny", better, 0), corpus)
    assert changed.bpb["val"] < baseline.bpb["val"] - 0.3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("knobs", [{}, {"window_pattern": "SL", "queries_per_kv": 2, "matrix_optimizer": "muon"}])
def test_cuda_agrees_with_the_cpu(corpus: Corpus, knobs: dict[str, Value]) -> None:
    cpu, cuda = train(micro(knobs=knobs), corpus), train(micro(knobs=knobs), corpus, device="cuda")
    assert cuda.state == "ok", cuda.message
    assert cuda.bpb["val"] == pytest.approx(cpu.bpb["val"], abs=0.1)
