"""Moves: what a change set does to a configuration, knob by knob, in words and on the knobs' own scales."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import islice

from metaloop.vocabulary.code import FILE
from metaloop.vocabulary.records import Config
from metaloop.vocabulary.space import Knob, Space, Value

Move = tuple[str, Value]
"""A knob and where it went: ``"+"`` or ``"-"`` for numbers, the new value for choices."""
Moves = frozenset[Move]


def move(knob: Knob, old: Value, new: Value) -> Move:
    """The move from ``old`` to ``new``, which differ."""
    if not knob.numeric:
        return knob.name, new
    return knob.name, "+" if float(new) > float(old) else "-"


def moves_between(space: Space, base: Mapping[str, Value], changes: Mapping[str, Value]) -> Moves:
    """The moves of ``changes`` made on ``base``; knobs that keep their value do not count."""
    found = []
    for name, new in changes.items():
        knob = space[name]
        old = base.get(name, knob.default)
        if old != new:
            found.append(move(knob, old, new))
    return frozenset(found)


def stepped(knob: Knob, value: Value, step: float) -> Value:
    """``value`` moved by ``step`` (in units of the knob's range on its own scale), kept inside the range.

    A whole number moves by at least one; small steps of wide floats keep four digits, so they may not move at all.
    """
    new = knob.from_unit(knob.to_unit(value) + step)
    if knob.kind == "int" and new == value:
        bounded = int(value) + (1 if step > 0 else -1)
        return max(int(knob.low or 0), min(int(knob.high or 0), bounded))
    return new


def distance(space: Space, one: Mapping[str, Value], other: Mapping[str, Value], enough: float = math.inf) -> float:
    """Largest difference of any knob, in units of its range; 1 where a choice or a file differs (Chebyshev distance).

    From ``enough`` on the exact distance is of no interest: any that is as large will do.
    """
    worst = 0.0
    for name in one.keys() | other.keys():
        if name.startswith(FILE):
            if one.get(name) != other.get(name):
                return 1.0
            continue
        knob = space[name]
        a, b = one.get(name, knob.default), other.get(name, knob.default)
        if a == b:
            continue
        if not knob.numeric:
            return 1.0
        worst = max(worst, abs(knob.to_unit(a) - knob.to_unit(b)))
        if worst >= enough:
            break
    return worst


def step_vector(space: Space, base: Mapping[str, Value], changes: Mapping[str, Value]) -> dict[Move, float]:
    """The change as a sparse vector: signed unit steps of numbers, 1 for every choice made anew."""
    vector: dict[Move, float] = {}
    for name, new in changes.items():
        knob = space[name]
        old = base.get(name, knob.default)
        if old == new:
            continue
        if knob.numeric:
            vector[(name, "")] = knob.to_unit(new) - knob.to_unit(old)
        else:
            vector[(name, new)] = 1.0
    return vector


def cosine(one: Mapping[Move, float], other: Mapping[Move, float]) -> float:
    """Cosine of the angle between two sparse vectors; 0 where one is empty."""
    if one.keys().isdisjoint(other):
        return 0.0
    dot = sum(x * other[key] for key, x in one.items() if key in other)
    norm = math.sqrt(sum(x * x for x in one.values()) * sum(x * x for x in other.values()))
    return dot / norm if norm else 0.0


def show(value: Value) -> str:
    """A value as people write it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def describe(space: Space, base: Config, changes: Config, most: int = 3) -> str:
    """``matrix_lr 0.001 -> 0.0015 (optimizer), …``: the change in one line, at most ``most`` knobs spelled out."""
    named = [(space[name], value) for name, value in islice(changes.items(), most)]
    parts = [f"{k.name} {show(base.get(k.name, k.default))} -> {show(new)} ({k.group})" for k, new in named]
    rest = len(changes) - len(named)
    return ", ".join(parts) + (f" and {rest} more" if rest else "")


def groups_of(space: Space, names: Iterable[str]) -> tuple[str, ...]:
    """The groups of the named knobs, each once."""
    return tuple(dict.fromkeys(space[name].group for name in names if name in space))
