"""A folder that somebody else wrote to: what is in it, and what has changed. No link is followed, no pipe opened."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from metaloop.vocabulary.errors import MetaloopError

MOST_FILES = 20_000
MOST_BYTES = 64_000_000
"""Of one file that is looked into; a larger one is known by its size."""

Tree = Mapping[str, str]
"""Path (``/`` between its parts) to what is there: a digest, or the kind of what is no plain file."""


class TreeError(MetaloopError):
    """A folder that holds too much to be looked through."""


def survey(root: Path, ignored: Sequence[str] = ()) -> Tree:
    """Everything below ``root`` but folders themselves, and what has a name like one of ``ignored``.

    Raises:
        TreeError: more than :data:`MOST_FILES`.
    """
    found: dict[str, str] = {}
    for path in _walk(root, ignored):
        found[path.relative_to(root).as_posix()] = _what(path)
        if len(found) > MOST_FILES:
            raise TreeError(f"it left more than {MOST_FILES} files")
    return found


def changed(before: Tree, after: Tree) -> dict[str, str]:
    """Path to what happened to it: ``deleted``, ``new`` or ``changed``, and where it is no plain file, what it is."""
    found: dict[str, str] = {}
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        if new is None:
            found[path] = "deleted"
        elif new.startswith(_ODD):
            found[path] = new.removeprefix(_ODD)
        else:
            found[path] = "new" if old is None else "changed"
    return found


def read_regular(path: Path, most: int) -> bytes | None:
    """A plain file's bytes; ``None`` where it is none, or larger than ``most``."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > most:
            return None
        data = file.read(most + 1)
    return data if len(data) <= most else None


def remove(path: Path) -> None:
    """Delete what is there, a folder with all that is below it; a link itself, not what it leads to."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    folders = [path]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    os.unlink(entry.path)
    for folder in reversed(folders):
        folder.rmdir()


_ODD = "a "


def _walk(root: Path, ignored: Sequence[str]) -> Iterator[Path]:
    """All but folders, level by level: folders in folders without end are no deep recursion."""
    folders = [root]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in ignored):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    yield Path(entry.path)


def _what(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"{_ODD}symbolic link to {os.readlink(path)!r}"
    if not stat.S_ISREG(mode):
        return f"{_ODD}special file"
    data = read_regular(path, MOST_BYTES)
    return hashlib.sha256(data).hexdigest() if data is not None else f"{path.lstat().st_size} bytes"
