"""Edits of a front matter that touch only their own lines.

Each edit splices the text and returns a new :class:`Document`; comments, quoting, order and line ends around it
stay as they are. Each edit is then checked: the new text must read back as the old values with exactly that one
change, else a :class:`FileError` says that the layout is beyond us, and nothing is changed.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from metaloop.files.markdown import Document, Keys, parse, plain, resolve
from metaloop.vocabulary.errors import FileError

_SAFE = re.compile(r"[A-Za-z0-9_./+-]([A-Za-z0-9_./+ -]*[A-Za-z0-9_./+-])?\Z")
_YAML11 = yaml.SafeLoader("")


def set_value(document: Document, keys: Keys, value: Any) -> Document:
    """Make the entry at ``keys`` hold ``value``; what already equals it is not touched, what is absent is inserted.

    A mapping or list is changed entry by entry, so that only differing lines move.

    Raises:
        FileError: the layout cannot be spliced.
    """
    node = document.node(keys)
    if node is None:
        return insert(document, keys, value)
    old = plain(node)
    if same(old, value):
        return document
    if isinstance(old, dict) and isinstance(value, dict) and value:
        for key in [key for key in old if key not in value]:
            document = remove(document, (*keys, key))
        for key, item in value.items():
            document = set_value(document, (*keys, key), item)
        return document
    if isinstance(old, list) and isinstance(value, list) and value:
        for index in reversed(range(len(value), len(old))):
            document = remove(document, (*keys, index))
        for index, item in enumerate(value):
            document = set_value(document, (*keys, index), item)
        return document
    start, end = _span(document, node)
    text = _scalar_like(node, value) if _single(value) else _flow(value)
    if isinstance(node, MappingNode | SequenceNode) and not _is_flow(node):
        start, text = _pull_up(document.text, start, text)
    return _splice(document, (start, end), " " + text if start == end else text, _changed(document, keys, value))


def insert(document: Document, keys: Keys, value: Any) -> Document:
    """Add a mapping entry (last) or a list item (before the one at that position); parents are made as needed.

    Raises:
        FileError: the entry is there already, the position is outside the list, or the layout cannot be spliced.
    """
    parent = document.node(keys[:-1])
    key = keys[-1]
    if parent is None or plain(parent) is None:
        return set_value(document, keys[:-1], {key: value} if isinstance(key, str) else [value])
    expected = copy.deepcopy(document.data)
    holder = _at(expected, keys[:-1])
    if isinstance(holder, dict) and isinstance(key, str) and key not in holder:
        holder[key] = value
    elif isinstance(holder, list) and isinstance(key, int) and 0 <= key <= len(holder):
        holder.insert(key, value)
    else:
        raise document.problem(keys, f"cannot insert {key!r} here: there already, or outside. Use a free place.")
    at, text = _insertion(document, parent, key, value)
    return _splice(document, (at, at), text, expected)


def remove(document: Document, keys: Keys) -> Document:
    """Take out a mapping entry or list item with its lines; an emptied parent becomes ``{}`` or ``[]``.

    Raises:
        FileError: there is no such entry, or the layout cannot be spliced.
    """
    parent = document.node(keys[:-1])
    if parent is None or document.node(keys) is None:
        raise document.problem(keys, f"cannot remove {keys[-1]!r}: it is not there. Name a present entry.")
    expected = copy.deepcopy(document.data)
    del _at(expected, keys[:-1])[keys[-1]]
    spans = _entry_spans(document, parent)
    position = keys[-1] if isinstance(keys[-1], int) else [key.value for key, _ in parent.value].index(keys[-1])
    if len(spans) == 1:
        start, end = _span(document, parent)
        empty = "{}" if isinstance(parent, MappingNode) else "[]"
        start, empty = (start, empty) if _is_flow(parent) else _pull_up(document.text, start, empty)
        return _splice(document, (start, end), empty, expected)
    return _splice(document, _removal(document, _is_flow(parent), spans, position), "", expected)


def with_body(document: Document, body: str) -> Document:
    """The same front matter over another body."""
    head = document.text[: len(document.text) - len(document.body)]
    return parse(head + body, document.path, document.error)


def same(a: Any, b: Any) -> bool:
    """Equal in value and type at every depth (``1``, ``1.0`` and ``True`` differ); key order does not count."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


def _at(data: Any, keys: Keys) -> Any:
    for key in keys:
        data = data[key]
    return data


def _changed(document: Document, keys: Keys, value: Any) -> Any:
    expected = copy.deepcopy(document.data)
    _at(expected, keys[:-1])[keys[-1]] = value
    return expected


def _splice(document: Document, span: tuple[int, int], text: str, expected: Any) -> Document:
    new = document.text[: span[0]] + text + document.text[span[1] :]
    try:
        edited = parse(new, document.path, document.error)
    except FileError:
        edited = None
    if edited is None or not same(edited.data, expected) or edited.body != document.body:
        line = document.line_at(span[0])
        raise document.error(document.path, line, "cannot be edited in place here. Lay it out one entry a line.")
    return edited


def _span(document: Document, node: Node) -> tuple[int, int]:
    """First and last position of a node; PyYAML ends block nodes only at the next token, so look at the last leaf."""
    start = document.yaml_start + node.start_mark.index
    end = document.yaml_start + node.end_mark.index
    if isinstance(node, MappingNode) and not _is_flow(node) and node.value:
        return start, _span(document, node.value[-1][1])[1]
    if isinstance(node, SequenceNode) and not _is_flow(node) and node.value:
        return start, _span(document, node.value[-1])[1]
    return start, start + len(document.text[start:end].rstrip())


def _entry_spans(document: Document, parent: Node) -> list[tuple[int, int]]:
    """Spans of the entries, from key to end of value; a block list's items start at their dash."""
    if isinstance(parent, MappingNode):
        return [(_span(document, key)[0], _span(document, value)[1]) for key, value in parent.value]
    spans: list[tuple[int, int]] = []
    before = _span(document, parent)[0]
    for item in parent.value:
        start, end = _span(document, item)
        if not _is_flow(parent):
            dash = re.compile(rf"^ {{{parent.start_mark.column}}}-", re.MULTILINE)
            found = [match.end() - 1 for match in dash.finditer(document.text, before, start + 1)]
            start = found[-1] if found else before
        spans.append((start, end))
        before = end
    return spans


def _removal(document: Document, flow: bool, spans: list[tuple[int, int]], position: int) -> tuple[int, int]:
    start, end = spans[position]
    if flow:
        last = position == len(spans) - 1
        return (spans[position - 1][1], end) if last else (start, spans[position + 1][0])
    line = document.text.rfind("\n", 0, start) + 1
    if document.text[line:start].strip():
        return start, spans[position + 1][0]
    return line, _after_line(document, end)


def _after_line(document: Document, position: int) -> int:
    newline = document.text.find("\n", position, document.yaml_end)
    return document.yaml_end if newline < 0 else newline + 1


def _insertion(document: Document, parent: Node, key: str | int, value: Any) -> tuple[int, str]:
    spans = _entry_spans(document, parent)
    if _is_flow(parent):
        entry = f"{_scalar(key)}: {_flow(value)}" if isinstance(key, str) else _flow(value)
        if not spans:
            return _span(document, parent)[0] + 1, entry
        if isinstance(key, int) and key < len(spans):
            return spans[key][0], f"{entry}, "
        return spans[-1][1], f", {entry}"
    lines = _block_entry(parent, key, value)
    text = "".join(" " * parent.start_mark.column + line + document.newline for line in lines)
    if isinstance(key, int) and key == 0:
        return document.text.rfind("\n", 0, spans[0][0]) + 1, text
    previous = spans[key - 1] if isinstance(key, int) else spans[-1]
    return _after_line(document, previous[1]), text


def _block_entry(parent: Node, key: str | int, value: Any) -> list[str]:
    if isinstance(key, str):
        return [f"{_scalar(key)}: {_flow(value)}"]
    siblings = [item for item in parent.value if isinstance(item, MappingNode) and not _is_flow(item)]
    if not (siblings and isinstance(value, dict) and value):
        return [f"- {_flow(value)}"]
    indent = siblings[0].start_mark.column - parent.start_mark.column
    entries = [f"{_scalar(name)}: {_flow(item)}" for name, item in value.items()]
    return [f"-{' ' * (indent - 1)}{entries[0]}", *(" " * indent + entry for entry in entries[1:])]


def _pull_up(text: str, start: int, replacement: str) -> tuple[int, str]:
    """Put what replaces a block collection behind its key's colon, where only space lies between."""
    head = text[:start].rstrip(" \r\n")
    return (len(head), f" {replacement}") if head.endswith(":") else (start, replacement)


def _is_flow(node: Node) -> bool:
    return bool(getattr(node, "flow_style", False))


def _single(value: Any) -> bool:
    return not isinstance(value, dict | list | tuple)


def _scalar_like(node: Node, value: Any) -> str:
    """``value``, in the quotes that the old scalar had."""
    style = getattr(node, "style", None)
    if isinstance(value, str) and style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return _quoted(value) if isinstance(value, str) and style == '"' else _scalar(value)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        # YAML 1.1 readers (subagent tools among them) need the dot: 1e-05 would be text to them.
        digits = repr(value)
        return digits.replace("e", ".0e", 1) if "e" in digits and "." not in digits else digits
    if isinstance(value, int):
        return str(value)
    return value if _is_plain(value) else _quoted(value)


def _is_plain(text: str) -> bool:
    """Text that every YAML version reads as that text without quotes."""
    if not _SAFE.match(text) or text[0] in "-+." or not isinstance(resolve(text), str):
        return False
    resolver: Any = _YAML11
    return bool(resolver.resolve(yaml.ScalarNode, text, (True, False)) == "tag:yaml.org,2002:str")


def _quoted(text: str) -> str:
    dumped: str = yaml.dump(text, default_style='"', allow_unicode=True, width=float("inf"))
    return dumped.rstrip("\n")
