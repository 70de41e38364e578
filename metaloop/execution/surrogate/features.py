"""From a configuration to the numbers a model reads: knobs on their own scale, choices spread out, and derived ones.

A knob that the configuration switches off reads as its default, so that two configurations that train the same
model read the same. The order of the columns is :attr:`Features.names`; a model file keeps them, and a model that was
fitted on other columns is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from metaloop.execution.nanogpt_trainer import Sizes, sizes
from metaloop.execution.surrogate.derived import derived, inactive
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.space import Knob, Space, Value
from metaloop.vocabulary.text import nearest


class _Column:
    """Where one knob's value goes in the vector: one place for a number, one per choice for a choice."""

    def __init__(self, knob: Knob, place: int) -> None:
        self.knob, self.place = knob, place
        self.names = [knob.name] if knob.numeric or knob.kind == "bool" else [f"{knob.name}={c}" for c in knob.choices]
        self.log = knob.log
        low, high = float(knob.low or 0.0), float(knob.high or 1.0)
        self.low = math.log(low) if knob.log else low
        self.span = ((math.log(high) if knob.log else high) - self.low) or 1.0
        self._spread = {choice: [float(choice == other) for other in knob.choices] for choice in knob.choices}

    def write(self, vector: list[float], value: Value) -> None:
        """Put ``value`` into its places of ``vector``."""
        if self.knob.kind == "choice":
            vector[self.place : self.place + len(self.names)] = self._spread[value]
        else:
            vector[self.place] = ((math.log(value) if self.log else float(value)) - self.low) / self.span  # type: ignore[arg-type]


class Features:
    """The feature vector of a target's configurations at one preset, for a corpus of ``vocab`` tokens."""

    def __init__(self, space: Space, preset: str, vocab: int) -> None:
        self.space, self.preset, self.vocab = space, preset, vocab
        self._defaults = space.defaults()
        self._columns: dict[str, _Column] = {}
        place = 0
        for knob in space:
            self._columns[knob.name] = _Column(knob, place)
            place += len(self._columns[knob.name].names)
        self._base = [0.0] * place
        for column in self._columns.values():
            column.write(self._base, column.knob.default)
        known = derived(self._defaults, self.sizes(self._defaults))
        self.names = (*(n for column in self._columns.values() for n in column.names), *known)

    def whole(self, config: Mapping[str, Value]) -> dict[str, Value]:
        """``config`` with every knob named.

        Raises:
            TrainerError: an unknown knob or a value that it cannot hold.
        """
        full = dict(self._defaults)
        for name, value in config.items():
            column = self._columns.get(name)
            if column is None:
                raise TrainerError(f"unknown knob {name!r}{nearest(name, self._columns)}.")
            full[name] = column.knob.check(value)
        return full

    def sizes(self, full: Mapping[str, Value], budget_fraction: float = 1.0) -> Sizes:
        """The sizes of the training that a whole configuration makes."""
        return sizes(full, self.preset, self.vocab, budget_fraction)

    def vector(self, full: Mapping[str, Value], of: Sizes) -> list[float]:
        """The features of a whole configuration (:meth:`whole`) of sizes ``of``, in the order of ``names``."""
        vector, defaults, columns = self._base.copy(), self._defaults, self._columns
        live = dict(full)
        for name in inactive(full):
            live[name] = defaults[name]
        for name, value in live.items():
            if value != defaults[name]:
                columns[name].write(vector, value)
        vector.extend(derived(live, of).values())
        return vector
