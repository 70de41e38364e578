"""Changes to source code: exact find-and-replace blocks, and the texts that a configuration trains.

A configuration names a changed file by a key of its own, ``file:PATH``, whose value is the digest of the file's text:
so identity, dedup, merging and confirmation treat code as they treat knobs. An edit applies wherever its passage
occurs exactly once, which is what rebasing it on a moved head means; where it does not, that is a merge conflict.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from metaloop.vocabulary.errors import EditError
from metaloop.vocabulary.space import Value

FILE = "file:"
"""Prefix of the configuration keys that name changed files."""
MOST_EDITS = 40
"""Blocks in one change set."""
MOST_CHARS = 200_000
"""Characters of a file after an edit: many times those of any file of the target."""
LONGEST_QUOTE = 60
CONTEXTS = (0, 1, 2, 3, 5, 8, 13)
"""Lines around a change that are tried, until every passage is unique."""


class Edit(msgspec.Struct, frozen=True):
    """One passage of a file and what takes its place. ``find`` occurs in the file exactly once."""

    path: str
    find: str
    replace: str


def files_of(config: Mapping[str, Value]) -> dict[str, str]:
    """Path to digest of every file that the configuration changes."""
    return {name[len(FILE) :]: str(value) for name, value in config.items() if name.startswith(FILE)}


def texts_of(config: Mapping[str, Value], sources: Mapping[str, str]) -> dict[str, str]:
    """Path to text of every file that the configuration changes; ``sources`` are texts by digest."""
    return {path: sources[digest] for path, digest in files_of(config).items()}


def knobs_of(config: Mapping[str, Value]) -> dict[str, Value]:
    """The configuration without its files."""
    return {name: value for name, value in config.items() if not name.startswith(FILE)}


def source_digest(path: str, text: str) -> str:
    """Identity of a file's text: 12 hex digits of a SHA-256. Of Python only the syntax tree counts, so that comments
    and layout make no new experiment.

    Raises:
        EditError: it is no Python.
    """
    said = text
    if path.endswith(".py"):
        try:
            said = ast.dump(ast.parse(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            what = getattr(error, "msg", None) or str(error)
            raise EditError(f"{path}{f':{line}' if line else ''}: it is no Python any more: {what}") from None
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:12]


def apply_edits(texts: Mapping[str, str], edits: Iterable[Edit]) -> dict[str, str]:
    """The changed texts by path: every edit over the ones before it. ``texts`` are the files that may be edited.

    Raises:
        EditError: a file that may not be edited, or a passage that does not occur exactly once.
    """
    changed: dict[str, str] = {}
    for edit in edits:
        if edit.path not in texts:
            known = ", ".join(sorted(texts)) or "there is none"
            raise EditError(f"{edit.path!r} is no editable file; editable: {known}")
        before = changed.get(edit.path, texts[edit.path])
        count = before.count(edit.find) if edit.find else 0
        if count != 1:
            found = f"occurs {count} times" if edit.find else "is empty"
            raise EditError(f"{edit.path}: the passage {_quoted(edit.find)} {found}, expected exactly once")
        after = before.replace(edit.find, edit.replace)
        if len(after) > MOST_CHARS:
            raise EditError(f"{edit.path}: {len(after)} characters after the edit, at most {MOST_CHARS} are allowed")
        changed[edit.path] = after
    return {path: text for path, text in changed.items() if text != texts[path]}


def edits_between(path: str, old: str, new: str) -> tuple[Edit, ...]:
    """Edits that turn ``old`` into ``new``, with as few lines around them as make every passage unique.

    Raises:
        EditError: ``old`` is empty, so that nothing in it can be found.
    """
    if old == new:
        return ()
    if not old:
        raise EditError(f"{path}: an empty file cannot be edited")
    lines, others = old.splitlines(keepends=True), new.splitlines(keepends=True)
    matcher = difflib.SequenceMatcher(None, lines, others, autojunk=False)
    for context in CONTEXTS:
        groups = [(g[0][1], g[-1][2], g[0][3], g[-1][4]) for g in matcher.get_grouped_opcodes(context)]
        edits = tuple(Edit(path, "".join(lines[a:b]), "".join(others[c:d])) for a, b, c, d in groups)
        with contextlib.suppress(EditError):
            if apply_edits({path: old}, edits).get(path) == new:
                return edits
    return (Edit(path, old, new),)


def lines_changed(edits: Iterable[Edit]) -> tuple[int, int]:
    """Lines added and removed."""
    added = removed = 0
    for edit in edits:
        old, new = edit.find.splitlines(), edit.replace.splitlines()
        for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                added, removed = added + d - c, removed + b - a
    return added, removed


def lines_by_file(edits: Sequence[Edit]) -> dict[str, str]:
    """``{nanogpt/model.py: +3 -1}``: what the edits do, file by file, from the edits themselves."""
    found = {}
    for path in dict.fromkeys(edit.path for edit in edits):
        added, removed = lines_changed(edit for edit in edits if edit.path == path)
        found[path] = f"+{added} -{removed}"
    return found


def diff_lines(edit: Edit) -> list[str]:
    """An edit as a reader sees it: what goes (``- ``), what stays and what comes (``+ ``), line by line."""
    old, new = edit.find.splitlines(), edit.replace.splitlines()
    return [line.rstrip("\n") for line in difflib.ndiff(old, new) if not line.startswith("?")]


def _quoted(passage: str) -> str:
    line = " ".join(passage.split())
    return repr(line if len(line) <= LONGEST_QUOTE else f"{line[:LONGEST_QUOTE]}…")
