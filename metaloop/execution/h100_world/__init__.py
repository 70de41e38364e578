"""A second world: the five-minute H100 protocol of karpathy/autoresearch, as a landscape drawn from a seed.

``TrainerSpec("h100-5min", "h100-5min", "7")`` is world 7. See docs/h100-world.md for what was fitted and what was not.
"""

from __future__ import annotations

from metaloop.execution.h100_world.knobs import KNOBS, SPACE
from metaloop.execution.h100_world.trainer import H100Trainer
from metaloop.execution.trainer import Target, TrainerSpec
from metaloop.vocabulary.errors import TrainerError

NAME = "h100-5min"
VERSION = "1"
"""Counts changes of the landscape's law or of its fitted numbers; a journal says which one it ran on."""
LONGEST_S = 1800.0
"""Device seconds after which a training counts as hung: more than five times the nominal 326 s."""


def _world(spec: TrainerSpec) -> int:
    if spec.preset != NAME:
        raise TrainerError(f"unknown preset {spec.preset!r} of trainer {NAME}. Known: {NAME}.")
    if not (spec.data.isascii() and spec.data.isdecimal() and str(int(spec.data)) == spec.data):
        raise TrainerError(f"the data of {NAME} is the seed of its world, such as 0, 1 or 2; got {spec.data!r}.")
    return int(spec.data)


def describe(spec: TrainerSpec) -> Target:
    """The target; nothing to prepare."""
    world = _world(spec)
    identity = {
        "trainer": NAME,
        "preset": spec.preset,
        "data": spec.data,
        "world": str(world),
        "landscape": f"{VERSION}-{SPACE.digest()}",
    }
    return Target(spec, KNOBS, identity, {}, LONGEST_S)


def make(spec: TrainerSpec, gpu: bool) -> H100Trainer:  # noqa: ARG001
    """The trainer of one world; it needs no device."""
    return H100Trainer(_world(spec))
