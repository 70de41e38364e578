"""Knobs and values that a text names plainly: ``warmdown_fraction = 0.6`` in code, or ``changes`` in front matter.

Prose is left to brains that can read. What is taken is checked against the target's space; a text that names a value
out of range, or two for one knob, gives no changes at all, since what its author meant is then not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from metaloop.files.markdown import resolve
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import Config
from metaloop.vocabulary.space import Knob, Space, Value

MOST_CHANGES = 12
"""A text that names more knobs is a whole recipe, and no idea."""
_CODE = re.compile(r"```[^\n`]*\n(.*?)```|`([^`\n]{1,200})`", re.DOTALL)
_SETTING = re.compile(r"\s*([A-Za-z_]\w{0,60})\s*[:=]\s*([^\s,;#]{1,60})\s*(?:#.*)?", re.ASCII)


def named_in(text: str, space: Space) -> Config:
    """The settings of known knobs in the code of a text; unknown names are somebody else's."""
    found: dict[str, set[Value]] = {}
    try:
        for name, spelled in _settings(text):
            if name in space:
                found.setdefault(name, set()).add(_value(space[name], resolve(spelled.strip("'\""))))
    except TrainerError:
        return {}
    if len(found) > MOST_CHANGES or any(len(values) > 1 for values in found.values()):
        return {}
    return _sorted({name: next(iter(values)) for name, values in found.items()})


def spelled_out(changes: Mapping[str, Any], space: Space) -> Config:
    """``changes`` as a note's front matter has them: all of them known and in range, or none are taken."""
    try:
        found = {str(name): _value(space[str(name)], value) for name, value in changes.items()}
    except TrainerError:
        return {}
    return _sorted(found) if len(found) <= MOST_CHANGES else {}


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for block, inline in _CODE.findall(text):
        for line in (block or inline).splitlines():
            setting = _SETTING.fullmatch(line)
            if setting is not None:
                yield setting[1], setting[2]


def _value(knob: Knob, found: Any) -> Value:
    """The value in the knob's type; :class:`TrainerError` where it is none of its values."""
    if not isinstance(found, bool | int | float | str):
        raise TrainerError(f"knob {knob.name} cannot be {found!r}.")
    return knob.check(found)


def _sorted(changes: Config) -> Config:
    return {name: changes[name] for name in sorted(changes)}
