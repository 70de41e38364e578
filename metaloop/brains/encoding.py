"""Whole configurations as rows of numbers, for brains that model them.

A *row* holds one number per knob: the position of a numeric knob on its own scale, in [0, 1], or the index of a
choice. *Features* are what a model sees of rows: of a numeric knob its position and the square of that, as Legendre
polynomials; of a choice one column per value. Over even draws every column has mean 0 and variance 1, so that a choice
weighs as much as a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from metaloop.vocabulary.records import Config
from metaloop.vocabulary.space import Knob, Space, Value

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Encoding:
    """Rows and features of the configurations of a space; ``size`` is its number of knobs."""

    def __init__(self, space: Space) -> None:
        self._knobs = space.knobs
        self.size = len(self._knobs)
        self.numeric: Mask = np.array([knob.numeric for knob in self._knobs], dtype=bool)
        self.choices: Array = np.array([1.0 if knob.numeric else len(knob.choices) for knob in self._knobs])
        """How many values a choice has; 1 for numbers."""
        columns = [2 if knob.numeric else len(knob.choices) for knob in self._knobs]
        self.columns: Array = np.array(columns, dtype=np.float64)
        """Features of each knob."""
        self.owner = np.repeat(np.arange(self.size), columns)
        """The knob that each feature belongs to."""
        starts = np.cumsum([0, *columns[:-1]])
        self._positions = starts[self.numeric]
        self._levels = [(int(start), k) for k, start in enumerate(starts) if not self.numeric[k]]

    def row(self, config: Mapping[str, Value]) -> Array:
        """One configuration as a row (size,); knobs that it does not name hold their default."""
        return np.array([_place(knob, config.get(knob.name, knob.default)) for knob in self._knobs])

    def config(self, row: Array) -> Config:
        """The configuration that a row stands for, with every knob named."""
        pairs = zip(self._knobs, row.tolist(), strict=True)
        return {k.name: k.from_unit(x) if k.numeric else k.choices[int(x)] for k, x in pairs}

    def features(self, rows: Array) -> Array:
        """Features (n, p) of ``rows`` (n, size)."""
        made = np.zeros((len(rows), len(self.owner)))
        position = 2.0 * rows[:, self.numeric] - 1.0
        made[:, self._positions] = math.sqrt(3.0) * position
        made[:, self._positions + 1] = math.sqrt(5.0) * (1.5 * position * position - 0.5)
        lines = np.arange(len(rows))
        for start, knob in self._levels:
            count = int(self.choices[knob])
            made[lines, start + rows[:, knob].astype(np.intp)] = 1.0
            made[:, start : start + count] -= 1.0 / count
            made[:, start : start + count] *= count / math.sqrt(max(1, count - 1))
        return made


def _place(knob: Knob, value: Value) -> float:
    return knob.to_unit(value) if knob.numeric else float(knob.choices.index(value))
