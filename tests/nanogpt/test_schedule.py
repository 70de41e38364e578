"""The learning-rate schedule at the points that define it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanogpt.knobs import KNOBS, resolve
from nanogpt.schedule import lr_factor

SHAPES = KNOBS["schedule_shape"].choices


@pytest.mark.parametrize("shape", SHAPES)
def test_warms_up_holds_and_falls(shape: str) -> None:
    config = resolve(
        {"warmup_fraction": 0.2, "warmdown_fraction": 0.4, "final_lr_fraction": 0.1, "schedule_shape": shape}
    )
    assert lr_factor(config, 0.0) == 0.0
    assert lr_factor(config, 0.1) == pytest.approx(0.5)
    assert lr_factor(config, 0.4) == 1.0
    assert lr_factor(config, 1.0) == pytest.approx(0.1)


def test_a_quarter_of_the_way_down() -> None:
    fixed = {"warmdown_fraction": 1.0, "warmup_fraction": 0.0, "final_lr_fraction": 0.0}
    at_quarter = {shape: lr_factor(resolve({**fixed, "schedule_shape": shape}), 0.25) for shape in SHAPES}
    assert at_quarter == pytest.approx({"cosine": 0.8535533906, "linear": 0.75, "sqrt": 0.5})


@given(
    st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 1), st.floats(0, 1), st.sampled_from(SHAPES)
)  # fmt: skip
def test_always_a_share_of_the_peak(at: float, up: float, down: float, final: float, shape: str) -> None:
    config = resolve(
        {"warmup_fraction": up, "warmdown_fraction": down, "final_lr_fraction": final, "schedule_shape": shape}
    )
    assert 0 <= lr_factor(config, at) <= 1
