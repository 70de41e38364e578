"""The knobs of a target as metaloop sees them: typed, bounded, grouped, documented.

A trainer publishes its :class:`Space`; proposers draw from it, prompts and reports are written from it. Whoever
owns the target owns the meaning of the knobs, so metaloop knows nothing more about them than this.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Literal

import msgspec

from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.text import nearest

Value = bool | int | float | str
"""What a knob can hold."""


_NUMBERS = (int, float)
_NUMERIC = ("float", "int")


class Knob(msgspec.Struct, frozen=True):
    """One typed setting of the target.

    ``low``/``high`` bound float and int knobs (inclusive); ``log`` says that ratios, not differences, are even
    steps; ``choices`` lists what a choice knob may hold (a bool knob has ``(False, True)``).
    """

    name: str
    group: str
    kind: Literal["float", "int", "bool", "choice"]
    default: Value
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()
    meaning: str = ""
    source: str = ""

    @property
    def numeric(self) -> bool:
        return self.kind in _NUMERIC

    def to_unit(self, value: Value) -> float:
        """Position of a numeric value in [0, 1] on the knob's own scale; of a categorical one, index/(n-1)."""
        if self.kind not in _NUMERIC:
            return self.choices.index(value) / max(1, len(self.choices) - 1)
        low, span = _scale(self.low, self.high, self.log)
        x = math.log(float(value)) if self.log else float(value)
        return (x - low) / span if span > 0 else 0.0

    def from_unit(self, unit: float) -> Value:
        """The value at a position in [0, 1]; positions outside are clipped. Floats keep 4 significant digits."""
        if not 0.0 <= unit <= 1.0:
            unit = min(1.0, max(0.0, unit))
        kind = self.kind
        if kind not in _NUMERIC:
            return self.choices[min(len(self.choices) - 1, int(unit * len(self.choices)))]
        start, span = _scale(self.low, self.high, self.log)
        x = math.exp(start + unit * span) if self.log else start + unit * span
        rounded = round(x) if kind == "int" else float(f"{x:.4g}")
        low, high = float(self.low or 0.0), float(self.high or 0.0)
        if not low <= rounded <= high:
            rounded = min(high, max(low, rounded))
        return int(rounded) if kind == "int" else rounded

    def sample(self, rng: random.Random) -> Value:
        """A value drawn evenly on the knob's own scale."""
        return self.from_unit(rng.random())

    def check(self, value: Value) -> Value:
        """``value`` in the knob's own type, or a :class:`TrainerError` that says what was expected."""
        if self.kind in ("bool", "choice"):
            if value not in self.choices or isinstance(value, bool) != isinstance(self.choices[0], bool):
                wanted = ", ".join(map(str, self.choices))
                raise TrainerError(f"knob {self.name} must be one of {wanted}, got {value!r}.")
            return value
        if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not math.isfinite(value):
            raise TrainerError(f"knob {self.name} must be a number, got {value!r}.")
        if self.kind == "int" and value != int(value):
            raise TrainerError(f"knob {self.name} must be a whole number, got {value!r}.")
        if not float(self.low or 0.0) <= value <= float(self.high or 0.0):
            raise TrainerError(f"knob {self.name} must lie in [{self.low}, {self.high}], got {value!r}.")
        return int(value) if self.kind == "int" else float(value)


@lru_cache(maxsize=1024)
def _scale(low: float | None, high: float | None, log: bool) -> tuple[float, float]:
    """Start and length of a knob's own scale. Remembered: brains convert values many times for every decision."""
    start, end = float(low or 0.0), float(high or 0.0)
    if log:
        start, end = math.log(start), math.log(end)
    return start, end - start


class Space:
    """The knobs of a target, in the order the trainer lists them."""

    def __init__(self, knobs: tuple[Knob, ...]) -> None:
        self._knobs = {knob.name: knob for knob in knobs}
        self._groups = tuple(dict.fromkeys(knob.group for knob in knobs))

    def __iter__(self) -> Iterator[Knob]:
        return iter(self._knobs.values())

    def __len__(self) -> int:
        return len(self._knobs)

    def __contains__(self, name: object) -> bool:
        return name in self._knobs

    def __getitem__(self, name: str) -> Knob:
        """The knob of that name; :class:`TrainerError` names the nearest known one."""
        try:
            return self._knobs[name]
        except KeyError:
            raise TrainerError(f"unknown knob {name!r}{nearest(name, self._knobs)}.") from None

    @property
    def knobs(self) -> tuple[Knob, ...]:
        return tuple(self._knobs.values())

    @property
    def groups(self) -> tuple[str, ...]:
        """Group names in order of first appearance."""
        return self._groups

    def in_groups(self, groups: tuple[str, ...]) -> tuple[Knob, ...]:
        """The knobs of ``groups``; all knobs where ``groups`` is empty."""
        return tuple(knob for knob in self if not groups or knob.group in groups)

    def defaults(self) -> dict[str, Value]:
        """The baseline configuration."""
        return {knob.name: knob.default for knob in self}

    def digest(self) -> str:
        """Identity of the space: changes when any knob changes."""
        return hashlib.sha256(msgspec.json.encode(self.knobs)).hexdigest()[:16]

    def validate(self, changes: Mapping[str, Value]) -> dict[str, Value]:
        """``changes`` with every name known and every value in type and range."""
        knobs = self._knobs
        return {name: (knobs.get(name) or self[name]).check(value) for name, value in changes.items()}
