"""What every peer is to the drivers: one small protocol over the peer's own public objects.

A driver owns devices and time, a peer owns the search. The driver asks what to train next, reports each point of the
learning curve, and says how a training ended; the peer answers whether the training may go on.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple, Protocol

from metaloop.vocabulary.records import Config

FULL = 8
"""Resource of a whole training, in eighths of its budget: the curve's points lie at 1, 2, 4, 6 and 8 of them."""
FAILED_BPB = 8.0
"""What peers are told of a training without a score: guessing evenly over 256 bytes. None of them knows what a
divergence is, and all of them can learn from a bad value."""


class Start(NamedTuple):
    """Begin a training. ``config`` names every knob; ``trial`` is the peer's own name for it."""

    trial: str
    config: Config


class Resume(NamedTuple):
    """Go on with a training that was paused."""

    trial: str


class Verdict(Enum):
    """What becomes of a training after a point of its curve."""

    GO = "go"
    STOP = "stop"
    PAUSE = "pause"


class Peer(Protocol):
    """A search method. One object serves one run; all its randomness comes from the seed that it was made with."""

    def next(self) -> Start | Resume | None:
        """What an idle device is to do; ``None``: nothing until something else is reported."""
        ...

    def report(self, trial: str, resource: int, bpb: float) -> Verdict:
        """Validation bpb after ``resource`` eighths (below :data:`FULL`) of a training's budget."""
        ...

    def end(self, trial: str, bpb: float | None) -> None:
        """The training is over, with its score, or with none if it failed."""
        ...


def resource_of(fraction: float) -> int:
    """Whole eighths of the budget that are done at ``fraction``, at least 1."""
    return max(1, math.floor(FULL * fraction + 1e-9))
