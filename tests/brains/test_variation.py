"""Draws and children."""

from __future__ import annotations

import numpy as np

from metaloop.brains.encoding import Encoding
from metaloop.brains.variation import Reaches, Variation, reach_of
from tests.brains.objective import make_space

SPACE = make_space()
ENCODING = Encoding(SPACE)
HEAD = ENCODING.row({})
ALL = np.ones(ENCODING.size, dtype=bool)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def distances(children: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.where(ENCODING.numeric, np.abs(children - HEAD), children != HEAD).mean(1)


def test_children_are_valid_and_move_in_focus_only() -> None:
    focus = np.array([knob.group == "architecture" for knob in SPACE])
    children = Variation(ENCODING, focus, 0.3).children(np.array([HEAD, HEAD]), 50, generator())
    assert (children[:, ~focus] == HEAD[~focus]).all()
    for row in children:
        SPACE.validate(ENCODING.config(row))
    assert (children != HEAD).any(1).mean() > 0.7, "a choice made anew may stay what it was"


def test_draws_keep_what_is_out_of_focus() -> None:
    focus = np.array([knob.group == "schedule" for knob in SPACE])
    drawn = Variation(ENCODING, focus, 0.3).drawn(HEAD, 20, generator())
    assert (drawn[:, ~focus] == HEAD[~focus]).all()
    assert (drawn[:, focus] != HEAD[focus]).mean() > 0.9


def test_reach_counts_from_the_nearest_anchor() -> None:
    drawn = Variation(ENCODING, ALL, 0.3).drawn(HEAD, 5, generator())
    one = HEAD.copy()
    one[0] += 0.2
    assert reach_of(ENCODING, np.vstack([drawn, one[None]]), HEAD[None]).tolist() == [3] * 5 + [0]
    assert reach_of(ENCODING, drawn, np.vstack([HEAD[None], drawn])).tolist() == [0] * 5


def test_children_are_of_every_reach() -> None:
    children = Variation(ENCODING, ALL, 0.2).children(HEAD[None], 400, generator())
    assert min(np.bincount(reach_of(ENCODING, children, HEAD[None]), minlength=4)) > 20


def test_children_of_two_parents_mix_them() -> None:
    other = Variation(ENCODING, ALL, 0.2).drawn(HEAD, 1, generator())
    children = Variation(ENCODING, ALL, 0.01).children(np.vstack([HEAD[None], other]), 400, generator())
    mixed = (np.abs(children - HEAD) < 0.02).sum(1) * (np.abs(children - other) < 0.02).sum(1)
    assert (mixed > 50).any()


def test_bolder_steps_are_longer() -> None:
    def moved(boldness: float) -> float:
        return float(distances(Variation(ENCODING, ALL, boldness).children(HEAD[None], 400, generator())).mean())

    assert moved(0.4) > 1.3 * moved(0.02)


def test_a_reach_that_only_fails_is_left_out_until_all_fail() -> None:
    reaches = Reaches()
    for _ in range(30):
        reaches.note(3, failed=True)
        reaches.note(0, failed=False)
    draws = [reaches.allowed(np.random.default_rng(seed)) for seed in range(50)]
    assert all(allowed[0] for allowed in draws)
    assert sum(allowed[3] for allowed in draws) < 5
    for _ in range(200):
        for reach in range(3):
            reaches.note(reach, failed=True)
    assert sum(reaches.allowed(np.random.default_rng(seed))[3] for seed in range(50)) > 25
