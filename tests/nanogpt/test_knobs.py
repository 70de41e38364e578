"""The knobs: their table, and what `resolve` accepts."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanogpt.cli import list_knobs
from nanogpt.knobs import GROUPS, KNOBS, Config, Knob, KnobError, parse, resolve
from nanogpt.presets import PRESETS, flops_per_token, shape_of


def values(knob: Knob) -> st.SearchStrategy[object]:
    """Every value that `knob` takes."""
    if knob.kind == "choice":
        return st.sampled_from(knob.choices)
    if knob.kind == "bool":
        return st.booleans()
    if knob.kind == "int":
        return st.integers(int(knob.low), int(knob.high))
    return st.floats(knob.low, knob.high)


some_knobs = st.fixed_dictionaries({}, optional={name: values(knob) for name, knob in KNOBS.items()})


def test_table_is_complete_and_sound() -> None:
    assert 30 <= len(KNOBS) <= 40
    assert {knob.group for knob in KNOBS.values()} == set(GROUPS)
    for name, knob in KNOBS.items():
        assert knob.name == name
        assert knob.meaning
        assert knob.source
        assert resolve({name: knob.default}) == Config()
        if knob.kind in ("float", "int"):
            assert knob.low <= knob.default <= knob.high
            assert not knob.log or knob.low > 0


def test_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        KNOBS["matrix_lr"] = KNOBS["head_lr"]  # type: ignore[index]


@given(some_knobs, st.sampled_from(sorted(PRESETS)))
@settings(max_examples=200, deadline=None)
def test_every_combination_has_a_valid_shape(overrides: dict[str, object], preset: str) -> None:
    config = resolve(overrides)
    shape = shape_of(config, PRESETS[preset], vocab=256)
    assert shape.width == shape.heads * shape.head_dim
    assert shape.heads % shape.kv_heads == 0
    assert shape.head_dim % 2 == 0
    assert shape.windows[-1] == shape.sequence
    assert len(shape.windows) == len(shape.value_layers) == shape.depth >= 1
    micro = min(shape.batch, PRESETS[preset].micro_batch)
    assert shape.batch % micro == 0
    assert flops_per_token(shape, config) > 0


@given(some_knobs)
@settings(max_examples=50, deadline=None)
def test_resolve_keeps_what_it_is_given(overrides: dict[str, object]) -> None:
    config = dataclasses.asdict(resolve(overrides))
    for name, knob in KNOBS.items():
        assert config[name] == overrides.get(name, knob.default)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"matrix_lrr": 1}, "did you mean 'matrix_lr'"),
        ({"matrix_lr": 7.0}, "found 7.0, expected a number from 0.0001 to 0.3"),
        ({"matrix_lr": "fast"}, "found 'fast', expected a number"),
        ({"matrix_lr": True}, "found True, expected a number"),
        ({"matrix_lr": float("nan")}, "found nan, expected a number"),
        ({"queries_per_kv": 2.0}, "found 2.0, expected a whole number from 1 to 4"),
        ({"qk_norm": 1}, "found 1, expected true or false"),
        ({"norm": "batchnorm"}, "found 'batchnorm', expected one of layernorm, rmsnorm"),
        ({"norm": ["rmsnorm"]}, "expected one of"),
    ],
)
def test_errors_say_found_and_expected(overrides: dict[str, object], said: str) -> None:
    with pytest.raises(KnobError, match=said):
        resolve(overrides)


@pytest.mark.parametrize("knob", KNOBS.values(), ids=lambda knob: knob.name)
def test_parse_reads_what_str_writes(knob: Knob) -> None:
    assert parse(knob.name, str(knob.default)) == knob.default


def test_listing_names_every_knob_and_source() -> None:
    text = list_knobs(True)
    assert all(f"{name}:" in text and knob.source in text for name, knob in KNOBS.items())
