"""Rows and features of configurations."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metaloop.brains.encoding import Encoding
from tests.brains import worlds as w
from tests.brains.objective import make_space

ENCODING = Encoding(w.SPACE)


@given(st.integers(0, 10_000))
def test_a_configuration_survives_its_row(seed: int) -> None:
    rng = random.Random(seed)
    config = {knob.name: knob.sample(rng) for knob in w.SPACE}
    assert w.SPACE.validate(ENCODING.config(ENCODING.row(config))) == config


def test_what_is_not_named_holds_its_default() -> None:
    assert ENCODING.config(ENCODING.row({})) == w.SPACE.validate(w.DEFAULTS)


def test_over_even_draws_every_feature_has_mean_0_and_variance_1() -> None:
    space = make_space()
    encoding, rng = Encoding(space), random.Random(1)
    rows = np.array([encoding.row({k.name: k.sample(rng) for k in space}) for _ in range(4000)])
    features = encoding.features(rows)
    rounded = np.isin(encoding.owner, [i for i, k in enumerate(space) if k.kind == "int"])
    assert features.shape == (4000, len(encoding.owner))
    assert np.abs(features[:, ~rounded].mean(0)).max() < 0.1
    assert np.abs(features[:, ~rounded].std(0) - 1.0).max() < 0.1
