"""Reading a front matter field by field against tables of typed fields, collecting everything that is wrong with it.

Every message says what was found, what was expected and how to mend it. A field that is wrong reads as its default,
so that one pass over a file names all its faults.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from metaloop.files.markdown import Document, Keys, plain
from metaloop.files.policies import NAME_LISTS, POLICIES
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.organization import RoleKind
from metaloop.vocabulary.space import Knob, Value
from metaloop.vocabulary.text import nearest

KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
Policy = dict[str, Value | tuple[str, ...]]

_LONGEST_SHOWN = 60


class Form:
    """A document being read, with the faults found so far."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults: list[FileError] = []

    def fault(self, keys: Keys, message: str) -> None:
        """Note a fault at the line of ``keys``."""
        self.faults.append(self.document.problem(keys, message))

    def value(self, keys: Keys) -> Any:
        """The plain value at ``keys``; ``None`` where absent."""
        node = self.document.node(keys)
        return None if node is None else plain(node)

    def mapping(self, keys: Keys, known: Collection[str], required: Iterable[str] = ()) -> dict[str, Any]:
        """The mapping at ``keys``, with unknown and missing keys noted; empty where it is none."""
        found = self.value(keys)
        if found is None:
            found = {}
        if not isinstance(found, dict):
            self.fault(keys, f"{label(keys)} must hold 'key: value' lines, got {show(found)}. Indent them below it.")
            return {}
        for key in found:
            if key not in known:
                self.fault((*keys, key), _unknown(label((*keys, key)), key, known))
        for key in required:
            if key not in found:
                self.fault(keys, f"{label((*keys, key))} is missing, expected a value. Add the line '{key}: ...'.")
        return found

    def text(self, keys: Keys, default: str = "", *, kebab: bool = False) -> str:
        """One line of text; with ``kebab``, a lower-case-name."""
        found = self.value(keys)
        if found is None and self.document.node(keys) is None:
            return default
        if not isinstance(found, str) or not found.strip():
            self.fault(keys, f"{label(keys)} must be text, got {show(found)}. Write some, in quotes if need be.")
            return default
        if kebab and not KEBAB.match(found):
            self.fault(keys, f"{label(keys)} must be lower-case words joined by '-', got {show(found)}. Rename it.")
            return default
        return found.strip()

    def names(self, keys: Keys, *, commas: bool = False) -> tuple[str, ...]:
        """A list of distinct names; with ``commas``, also one line of them (``Read, Edit``)."""
        found = self.value(keys)
        if found is None:
            return ()
        if commas and isinstance(found, str):
            found = [part.strip() for part in found.split(",")]
        if not isinstance(found, list) or not all(isinstance(item, str) and item for item in found):
            form = "names with commas between" if commas else "a list of names"
            self.fault(keys, f"{label(keys)} must be {form}, got {show(found)}. Write it as [one, two].")
            return ()
        twice = [item for index, item in enumerate(found) if item in found[:index]]
        if twice:
            self.fault(keys, f"{label(keys)} names {twice[0]!r} twice, expected each name once. Remove one.")
        return tuple(dict.fromkeys(found))

    def knob(self, keys: Keys, knob: Knob) -> Value:
        """A value in the type and range of ``knob``; its default where absent."""
        found = self.value(keys)
        if found is None and self.document.node(keys) is None:
            return knob.default
        wrong = refusal(knob, found)
        if wrong:
            self.fault(keys, f"{label(keys)} {wrong}")
            return knob.default
        return float(found) if knob.kind == "float" else found

    def policy(self, keys: Keys, kind: RoleKind) -> Policy:
        """The policy entries written at ``keys``, typed, for a role of ``kind``."""
        found = self.value(keys)
        if found is None:
            return {}
        if not isinstance(found, dict):
            self.mapping(keys, ())
            return {}
        policy: Policy = {}
        for name in found:
            if name in POLICIES[kind]:
                policy[name] = self.knob((*keys, name), POLICIES[kind][name])
            elif name in NAME_LISTS[kind]:
                policy[name] = self.names((*keys, name))
            else:
                self.fault((*keys, name), _unknown_policy(label((*keys, name)), name, kind))
        return policy


def label(keys: Keys) -> str:
    """How messages name an entry: ``members[2].count``, ``policy.boldness`` (the ``org:`` around it goes unsaid)."""
    parts = keys[1:] if keys[:1] == ("org",) and len(keys) > 1 else keys
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.lstrip(".") or "the front matter"


def show(value: Any) -> str:
    """A found value as the file spells it, shortened."""
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def refusal(knob: Knob, found: Any) -> str | None:
    """What is wrong with ``found`` as a value of ``knob``: the message after the field's name, or ``None``."""
    got = f"got {show(found)}"
    if knob.kind == "bool":
        return None if isinstance(found, bool) else f"must be true or false, {got}. Write one of the two."
    if knob.kind == "choice":
        if isinstance(found, str) and found in knob.choices:
            return None
        choices = tuple(map(str, knob.choices))
        return f"must be one of {', '.join(choices)}, {got}{nearest(str(found), choices)}. Choose one of them."
    if isinstance(found, bool) or not isinstance(found, int | float):
        return f"must be a number, {got}. Write it without quotes."
    if knob.kind == "int" and not isinstance(found, int):
        return f"must be a whole number, {got}. Round it."
    low, high = knob.low or 0, knob.high or 0
    return None if low <= found <= high else f"must lie in [{low}, {high}], {got}. Choose a value inside."


def _unknown(name: str, key: str, known: Collection[str]) -> str:
    advice = f"Known here: {', '.join(known)}." if known else "Remove it."
    return f"unknown key {name!r}{nearest(key, known)}. {advice}"


def _unknown_policy(name: str, key: str, kind: RoleKind) -> str:
    owners = [other for other in POLICIES if key in POLICIES[other] or key in NAME_LISTS[other]]
    known = (*(knob.name for knob in POLICIES[kind]), *NAME_LISTS[kind])
    if owners:
        return f"{name} is a knob of a {owners[0]}, expected one of a {kind}. Remove it, or choose: {', '.join(known)}."
    return _unknown(name, key, known)
