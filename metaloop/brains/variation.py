"""New configurations from old ones: whole draws, and mutated children from one knob to all, near and far.

The *reach* of a candidate is how far it is from the nearest of the best, in one of four classes. Where the space is
full of cliffs only near ones train to their end, and a regression does not see that soon. So a class is left out
while its members fail much more often than those of another: Thompson's rule (1933).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from metaloop.brains.encoding import Array, Encoding, Mask

DISTANCES = (0.012, 0.04, 0.15)
"""Mean distances over all knobs, in units of their ranges, at which the next class of reach begins. Two rows drawn
evenly are about 0.4 apart, two that differ in one of forty knobs about 0.01."""
SPREAD = 3.0
"""Steps are up to this many times shorter or longer than the boldness."""
MIXED = 0.3
"""Share of the children that take each knob from either of two parents (uniform crossover: Syswerda 1989)."""
HOPELESS = 0.5
"""A reach is left out while its rate of trainings that did not fail is below this share of the best one's."""
FADE = 0.95
"""What is left of a reach's earlier record with each new member: what failed at first need not fail later."""


def reach_of(encoding: Encoding, rows: Array, anchors: Array) -> npt.NDArray[np.intp]:
    """The class (m,) of the distance from each row (m, knobs) to the nearest anchor (n, knobs); 0 is the nearest."""
    away = rows[:, None] - anchors
    apart = np.where(encoding.numeric, np.abs(away), away != 0.0).mean(2).min(1)
    reached: npt.NDArray[np.intp] = np.searchsorted(DISTANCES, apart, side="right")
    return reached


class Reaches:
    """How often candidates of each reach failed, older ones counting less."""

    def __init__(self) -> None:
        self._record = np.ones((len(DISTANCES) + 1, 2))

    def note(self, reach: int, failed: bool) -> None:
        """Take in what became of a candidate."""
        self._record[reach] = 1.0 + FADE * (self._record[reach] - 1.0)
        self._record[reach, 1 if failed else 0] += 1.0

    def allowed(self, generator: np.random.Generator) -> Mask:
        """The classes that, by one draw of their rates, are not far behind the best of them."""
        drawn = generator.beta(self._record[:, 0], self._record[:, 1])
        allowed: Mask = drawn >= HOPELESS * drawn.max()
        return allowed


class Variation:
    """Makes rows that differ from others only in the knobs in ``focus`` (of which there is at least one); steps are
    about ``boldness`` long."""

    def __init__(self, encoding: Encoding, focus: Mask, boldness: float) -> None:
        self._encoding = encoding
        self._focus = focus
        self._boldness = boldness
        self._places = np.flatnonzero(focus)

    def drawn(self, head: Array, count: int, generator: np.random.Generator) -> Array:
        """Rows (count, knobs) drawn evenly in focus, and like ``head`` elsewhere."""
        return np.where(self._focus, self._even(count, generator), head)

    def children(self, anchors: Array, count: int, generator: np.random.Generator) -> Array:
        """Mutated copies (count, knobs) of ``anchors`` (n, knobs), each of which is as likely a parent.

        How many knobs a child moves is drawn log-evenly from one to all: one scale of change is as likely as another.
        """
        shape = (count, self._encoding.size)
        parents = anchors[generator.integers(0, len(anchors), count)]
        others = anchors[generator.integers(0, len(anchors), count)]
        mixed = (generator.random((count, 1)) < MIXED) & (generator.random(shape) < 0.5)
        parents = np.where(mixed & self._focus, others, parents)
        share = np.exp(generator.uniform(-math.log(len(self._places)), 0.0, (count, 1)))
        moved = (generator.random(shape) < share) & self._focus
        moved[np.arange(count), generator.choice(self._places, count)] = True
        return np.where(moved, self._moved(parents, generator), parents)

    def _moved(self, parents: Array, generator: np.random.Generator) -> Array:
        """Every knob moved: a normal step that the ends of the range throw back, or a choice made anew."""
        count = len(parents)
        length = self._boldness * np.exp(generator.uniform(-math.log(SPREAD), math.log(SPREAD), (count, 1)))
        steps = np.abs(parents + length * generator.standard_normal(parents.shape))
        inside = np.clip(1.0 - np.abs(1.0 - steps), 0.0, 1.0)
        return np.where(self._encoding.numeric, inside, self._even(count, generator))

    def _even(self, count: int, generator: np.random.Generator) -> Array:
        share = generator.random((count, self._encoding.size))
        return np.where(self._encoding.numeric, share, np.floor(share * self._encoding.choices))
