"""Knobs: positions, values, checks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.space import Knob, Space
from tests.driver import SPACE

knobs = st.sampled_from(SPACE.knobs)


@given(knobs, st.floats(-1, 2))
def test_every_position_is_a_valid_value(knob: Knob, unit: float) -> None:
    assert knob.check(knob.from_unit(unit)) == knob.from_unit(unit)


@given(knobs, st.floats(0, 1))
def test_positions_come_back(knob: Knob, unit: float) -> None:
    value = knob.from_unit(unit)
    tolerance = 1e-3 if knob.kind == "float" else 1.0
    assert knob.to_unit(value) == pytest.approx(unit, abs=tolerance)
    if knob.numeric:
        assert knob.from_unit(knob.to_unit(value)) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lr", 3.0, r"knob lr must lie in \[0.0001, 0.1\], got 3.0"),
        ("lr", float("nan"), "must be a number, got nan"),
        ("lr", True, "must be a number, got True"),
        ("lr", "0.01", "must be a number, got '0.01'"),
        ("depth", 2.5, "must be a whole number, got 2.5"),
        ("activation", "relu3", "must be one of gelu, relu2, swiglu, got 'relu3'"),
        ("norm", 1, "must be one of False, True, got 1"),
    ],
)
def test_bad_values_say_what_was_expected(name: str, value: object, message: str) -> None:
    with pytest.raises(TrainerError, match=message):
        SPACE.validate({name: value})  # type: ignore[dict-item]


def test_an_unknown_knob_names_the_nearest() -> None:
    with pytest.raises(TrainerError, match=r"unknown knob 'activatoin' \(did you mean 'activation'\?\)"):
        SPACE["activatoin"]


def test_groups_keep_their_order() -> None:
    assert SPACE.groups == ("optimizer", "schedule", "architecture", "regularization", "initialization", "batch")
    assert [k.name for k in SPACE.in_groups(("schedule",))] == ["warmup"]
    assert Space(SPACE.knobs[:-1]).digest() != SPACE.digest()
