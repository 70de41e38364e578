"""What can be hit, and how."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "trainer killed": "SIGKILL",
        "trainer stopped": "SIGSTOP past its lease, then SIGCONT: it comes back from the dead",
        "trainer paused": "SIGSTOP, and SIGCONT a second later: within its lease",
        "member killed": "SIGKILL",
        "member stopped": "SIGSTOP, for good",
        "driver killed": "SIGKILL, then `metaloop resume`",
        "driver paused": "SIGSTOP, `metaloop resume` beside it (which must refuse), SIGCONT",
        "driver preempted": "SIGTERM, then `metaloop resume`",
        "node killed": "SIGKILL for a node's raylet; a new node joins three seconds later",
    }
)
"""Kinds of harm, and what is done. The controller lives in the driver and dies with it."""


class Kill(msgspec.Struct, frozen=True):
    """One harm done: when (seconds since the start), in which phase of the run, and what came of it.

    ``back_s``: seconds until the run brought the next result of a training.
    """

    number: int
    at_s: float
    kind: str
    phase: str
    outcome: str
    back_s: float | None


class Aim(msgspec.Struct, frozen=True):
    """What is to be done to which of its like (counted round)."""

    kind: str
    which: int


def aims(rng: random.Random, kills: int) -> list[Aim]:
    """As many aims: every kind comes once before any comes again, in an order that is drawn."""
    found: list[Aim] = []
    while len(found) < kills:
        kinds = list(KINDS)
        rng.shuffle(kinds)
        found += [Aim(kind, rng.randrange(1000)) for kind in kinds]
    return found[:kills]
