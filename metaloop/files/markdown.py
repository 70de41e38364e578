"""A Markdown file with YAML front matter, kept so that it can be written back byte for byte.

::

    ---
    name: careful-proposer      <- front matter: a YAML mapping
    ---
    # Careful proposer          <- body: Markdown, never interpreted

The text is the truth; the YAML nodes only point into it, so every value has a line for error messages and a span
for :mod:`metaloop.files.markdown_edit`. Plain scalars follow YAML 1.2's core schema (``yes`` and ``off`` are text,
``1e-3`` is a number). Anchors, aliases and tags are refused: with them, editing one line could change another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from metaloop.vocabulary.errors import FileError

MAX_BYTES = 1_000_000
"""A role or organization file is read by people; more than this is a mistake (a data file, a binary)."""

Keys = tuple[str | int, ...]
"""A path into the front matter: mapping keys and zero-based list positions."""

_OPENING = re.compile(r"---[ ]*(\r\n|\n)")
_CLOSING = re.compile(r"^---[ ]*(?:\r?\n|\Z)", re.MULTILINE)
_NEWLINE = re.compile(r"\r\n|\r|\n")
_TABBED = re.compile(r"^ *\t", re.MULTILINE)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_TAB_ADVICE = "found a tab, YAML indents with spaces only. Replace it with spaces."
_LARGEST_INT_DIGITS = 18


@dataclass(frozen=True)
class Document:
    """A parsed file. ``yaml_start``/``yaml_end`` bound the front matter in ``text``; ``error`` makes its errors."""

    path: Path
    text: str
    root: MappingNode
    yaml_start: int
    yaml_end: int
    error: type[FileError]

    @cached_property
    def data(self) -> dict[str, Any]:
        """The front matter as plain values."""
        value: dict[str, Any] = plain(self.root)
        return value

    @property
    def body(self) -> str:
        """The Markdown below the front matter, as it stands."""
        closing = _CLOSING.match(self.text, self.yaml_end)
        return self.text[closing.end() :] if closing else ""

    @property
    def newline(self) -> str:
        """How this file ends its lines."""
        return "\r\n" if self.text[: self.yaml_start].endswith("\r\n") else "\n"

    def node(self, keys: Keys) -> Node | None:
        """The YAML node at ``keys``, ``None`` where there is none."""
        node: Node | None = self.root
        for key in keys:
            node = _child(node, key)
        return node

    def line(self, *keys: str | int) -> int:
        """The line (from 1) on which the entry at ``keys`` starts, or that of its nearest present ancestor."""
        at: Node = self.root
        node: Node | None = self.root
        for key in keys:
            node, parent = _child(node, key), node
            if node is None:
                break
            at = _key_node(parent, key) or node
        return self.line_at(self.yaml_start + at.start_mark.index)

    def line_at(self, position: int) -> int:
        """The line (from 1) of a position in ``text``."""
        return len(_NEWLINE.findall(self.text, 0, position)) + 1

    def problem(self, keys: Keys, message: str) -> FileError:
        """An error that points at ``keys``."""
        return self.error(shown(self.path), self.line(*keys), message)

    def encode(self) -> bytes:
        """What to write: exactly the bytes that were read where nothing was edited."""
        return self.text.encode()


def shown(path: Path) -> Path:
    """``path`` relative to the working directory where it lies inside it, else as it is."""
    try:
        return Path(os.path.abspath(path)).relative_to(Path.cwd())
    except ValueError:
        return path


def read(path: Path, error: type[FileError] = FileError) -> Document:
    """Read and parse a file.

    Raises:
        FileError: (as ``error``) missing, a link, too large, not UTF-8, or anything :func:`parse` refuses.
    """
    return parse(read_text(path, error), path, error)


def read_text(path: Path, error: type[FileError]) -> str:
    """The text of a file that people write.

    Raises:
        FileError: (as ``error``) missing, a link, too large, or not UTF-8.
    """
    where = shown(path)
    if path.is_symlink():
        raise error(where, None, "is a symbolic link, expected a file of its own. Copy the file here.")
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise error(where, None, "no such file. Check the spelling, or create it.") from None
    except OSError as problem:
        raise error(where, None, f"cannot be read: {problem.strerror}. Name a readable text file.") from None
    if len(raw) > MAX_BYTES:
        raise error(where, None, f"is larger than {MAX_BYTES // 1_000_000} MB, expected a short text. Shorten it.")
    return _decode(raw, where, error)


def _decode(raw: bytes, where: Path, error: type[FileError]) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise error(where, 1, "starts with a byte order mark, expected '---'. Save it as UTF-8 without BOM.")
    try:
        return raw.decode()
    except UnicodeDecodeError as problem:
        line = len(_NEWLINE.findall(raw[: problem.start].decode("latin-1"))) + 1
        raise error(where, line, f"found byte 0x{raw[problem.start]:02x}, expected UTF-8. Save it as UTF-8.") from None


def parse(text: str, path: Path, error: type[FileError] = FileError) -> Document:
    """Parse ``text`` as the content of ``path``.

    Raises:
        FileError: (as ``error``) no or unclosed front matter, a YAML error, duplicate keys, an alias, tag or tab.
    """
    where = shown(path)
    opening = _OPENING.match(text)
    if opening is None:
        raise error(
            where, 1, "no front matter, expected '---' on the first line. Start with '---', 'name: ...', '---'."
        )
    closing = _CLOSING.search(text, opening.end())
    if closing is None:
        raise error(where, 1, "front matter is not closed, expected a second line '---'. Add it above the prose.")
    start, end = opening.end(), closing.start()
    front = text[start:end]
    tab = _TABBED.search(front)
    if tab:
        raise error(where, _line(text, start + tab.start()), _TAB_ADVICE)
    root = _compose(front, lambda index, message: error(where, _line(text, start + index), message))
    return Document(path, text, root, start, end, error)


def parse_yaml(text: str, path: Path, error: type[FileError] = FileError) -> Document:
    """Parse a file that is one YAML mapping and has no body, under the rules of a front matter.

    Raises:
        FileError: (as ``error``) a YAML error, duplicate keys, an alias, tag or tab.
    """
    tab = _TABBED.search(text)
    if tab:
        raise error(shown(path), _line(text, tab.start()), _TAB_ADVICE)
    root = _compose(text, lambda index, message: error(shown(path), _line(text, index), message))
    return Document(path, text, root, 0, len(text), error)


def _line(text: str, position: int) -> int:
    return len(_NEWLINE.findall(text, 0, position)) + 1


class _Refused(yaml.MarkedYAMLError):
    """YAML that is legal but not accepted here."""


class _Loader(yaml.SafeLoader):
    """PyYAML's composer without the features that make one line depend on another."""

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise _Refused(
                problem="found an anchor or alias, expected plain values. Write the value out",
                problem_mark=event.start_mark,
            )
        if event.tag:
            raise _Refused(
                problem=f"found the tag {event.tag!r}, expected plain values. Remove it", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


def _compose(front: str, fail: Any) -> MappingNode:
    try:
        root = _nodes(front)
    except yaml.MarkedYAMLError as problem:
        mark = problem.context_mark if _unclosed(problem) else problem.problem_mark
        raise fail(mark.index if mark else 0, _explain(problem)) from None
    except yaml.reader.ReaderError as problem:
        raise fail(problem.position, f"found the control character {problem.character!r}. Remove it.") from None
    except RecursionError:
        raise fail(0, "front matter is nested too deeply, expected a few levels. Flatten it.") from None
    if not isinstance(root, MappingNode):
        found = "nothing" if root is None else "a list" if isinstance(root, SequenceNode) else "plain text"
        raise fail(0, f"front matter holds {found}, expected a mapping. Write 'name: ...' and so on, one key a line.")
    for node, message in _faults(root):
        raise fail(node.start_mark.index, message)
    return root


@lru_cache(maxsize=256)
def _nodes(front: str) -> Node | None:
    """Composed once for each text: nodes are never changed, and every child of a meta-loop has the same role files."""
    node: Node | None = _Loader(front).get_single_node()
    return node


def _unclosed(problem: yaml.MarkedYAMLError) -> bool:
    """Whether the front matter ended inside a bracket or quote; the line that opened it is then the one to mend."""
    said = str(problem.problem)
    return "stream end" in said or "end of stream" in said


def _explain(problem: yaml.MarkedYAMLError) -> str:
    if _unclosed(problem):
        return "YAML syntax error: a bracket or quote that opens here is never closed. Close it."
    said = str(problem.problem or problem.context or "cannot be read").rstrip(".")
    if isinstance(problem, _Refused):
        return f"{said}."
    if "'\\t'" in said:
        return _TAB_ADVICE
    advice = "Put text that holds ': ' or '#' in quotes." if "mapping values" in said else "Correct the YAML."
    return f"YAML syntax error: {said}. {advice}"


def _faults(node: Node) -> Iterator[tuple[Node, str]]:
    """Duplicate and non-text keys anywhere under ``node``."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _faults(item)
    if not isinstance(node, MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            yield key, "found a list or mapping as a key, expected a word. Write 'key: value'."
        elif key.value in seen:
            yield key, f"duplicate key {key.value!r}, expected each key once. Remove one of the two."
        else:
            seen.add(key.value)
        yield from _faults(value)


def _child(node: Node | None, key: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, SequenceNode) and isinstance(key, int) and 0 <= key < len(node.value):
        item: Node = node.value[key]
        return item
    return None


def _key_node(parent: Node | None, key: str | int) -> Node | None:
    if isinstance(parent, MappingNode):
        return next((name for name, _ in parent.value if name.value == key), None)
    return None


def plain(node: Node) -> Any:
    """The value of a node: dict, list, str, bool, int, float or None."""
    if isinstance(node, MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [plain(item) for item in node.value]
    if isinstance(node, ScalarNode) and node.style is not None:
        return node.value
    return resolve(node.value)


def resolve(text: str) -> Any:
    """What an unquoted scalar means in YAML 1.2's core schema; anything else is text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text) and len(text) <= _LARGEST_INT_DIGITS:
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text
