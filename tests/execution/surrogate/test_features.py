"""What the surrogate reads of a configuration."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloop.execution.nanogpt_trainer import SHAPING, sizes
from metaloop.execution.surrogate.derived import inactive, schedule
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.seeds import python_stream
from metaloop.vocabulary.space import Value
from tests.execution.surrogate.synthetic import FEATURES

SPACE = FEATURES.space


def drawn(seed: int) -> dict[str, Value]:
    rng = python_stream(seed, "config")
    return {knob.name: knob.sample(rng) for knob in SPACE}


def read(config: dict[str, Value]) -> list[float]:
    full = FEATURES.whole(config)
    return FEATURES.vector(full, FEATURES.sizes(full))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_what_is_switched_off_is_not_read(seed: int) -> None:
    config, other = drawn(seed), drawn(seed + 1)
    changed = config | {name: other[name] for name in inactive(config)}
    assert read(config) == read(changed)
    assert len(read(config)) == len(FEATURES.names) == len(set(FEATURES.names))


def test_every_knob_is_read_somewhere() -> None:
    on = {"position": "rope", "matrix_optimizer": "muon", "tied_head": False, "value_embeddings": "gated"}
    base = FEATURES.whole(on)
    for knob in SPACE:
        moved = base | {knob.name: next(v for v in (knob.from_unit(0.9), knob.from_unit(0.0)) if v != base[knob.name])}
        assert read(moved) != read(base), knob.name


@given(seed=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_only_the_named_knobs_shape_the_model(seed: int) -> None:
    config, other = drawn(seed), drawn(seed + 1)
    assert sizes(config, "cpu-tiny", 256) == sizes(other | {name: config[name] for name in SHAPING}, "cpu-tiny", 256)


@pytest.mark.parametrize("knobs", [{}, {"matrix_optimizer": "muon", "activation": "swiglu", "queries_per_kv": 4}])
def test_sizes_are_those_of_a_real_training(knobs: dict[str, Value]) -> None:
    from nanogpt.prepare import load_corpus
    from nanogpt.train import TrainRequest, train

    real = train(TrainRequest("cpu-micro", knobs, budget_fraction=0.1), load_corpus("stdlib"))
    of = sizes(FEATURES.whole(knobs), "cpu-micro", 256, budget_fraction=0.1)
    assert (of.steps, of.steps * of.tokens_per_step) == (real.steps, real.tokens)
    assert of.steps * of.flops_per_step == pytest.approx(real.flops, rel=1e-12)


@given(
    warmup=st.floats(0, 0.5), warmdown=st.floats(0, 1), final=st.floats(0, 1),
    shape=st.sampled_from(("cosine", "linear", "sqrt")),
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_the_schedule_is_the_targets_own(warmup: float, warmdown: float, final: float, shape: str) -> None:
    from nanogpt.knobs import resolve
    from nanogpt.schedule import lr_factor

    config = resolve(
        {"warmup_fraction": warmup, "warmdown_fraction": warmdown, "final_lr_fraction": final, "schedule_shape": shape}
    )
    mean = sum(lr_factor(config, (i + 0.5) / 400) for i in range(400)) / 400
    assert schedule(warmup, warmdown, final, shape).mean == pytest.approx(mean, abs=0.04)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"matrix_rl": 0.1}, r"unknown knob 'matrix_rl' \(did you mean 'matrix_lr'\?\)"),
        ({"matrix_lr": 7.0}, r"knob matrix_lr must lie in"),
    ],
)
def test_what_is_no_configuration_is_refused(config: dict[str, Value], message: str) -> None:
    with pytest.raises(TrainerError, match=message):
        FEATURES.whole(config)
