"""A folder's copy in storage that outlives the machine: any place that fsspec can write to.

What stands there is always enough to go on from: see :mod:`metaloop.files.mirror`, which decides what goes when. Only
the whole-file operations that every such file system has are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from metaloop.vocabulary.errors import StorageError

OWNER = "owner.json"
"""Which copy of the folder may write here."""
PART = ".part"
"""Ends the name of what is still being written."""


class Owner(msgspec.Struct, frozen=True):
    """The name of the one copy that may write; whoever takes the work over writes its own."""

    copy: str


class Store:
    """Files below ``url``, by their path from there.

    Raises:
        StorageError: from every method, whatever the storage's own client raised.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        with self._told("cannot be used"):
            self._fs, self._root = fsspec.core.url_to_fs(self.url)

    def put(self, name: str, data: bytes) -> None:
        """Write a file whole: under another name first, so that whoever dies meanwhile leaves the old one."""
        path = f"{self._root}/{name}"
        with self._told(f"{name} cannot be written"):
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._fs.pipe_file(path + PART, data)
            self._fs.mv(path + PART, path)

    def get(self, name: str) -> bytes:
        """A file's bytes."""
        with self._told(f"{name} cannot be read"):
            data: bytes = self._fs.cat_file(f"{self._root}/{name}")
            return data

    def has(self, name: str) -> bool:
        """Whether the file stands there."""
        with self._told("cannot be read"):
            self._fs.invalidate_cache()
            return bool(self._fs.exists(f"{self._root}/{name}"))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        if self.has(name):
            with self._told(f"{name} cannot be removed"):
                self._fs.rm_file(f"{self._root}/{name}")

    def names(self) -> list[str]:
        """All whole files, sorted."""
        with self._told("cannot be listed"):
            self._fs.invalidate_cache()
            found = [path[len(self._root) :].lstrip("/") for path in self._fs.find(self._root)]
        return sorted(name for name in found if not name.endswith(PART))

    def owner(self) -> str | None:
        """The copy that may write; ``None`` where nobody has begun."""
        if not self.has(OWNER):
            return None
        try:
            return msgspec.json.decode(self.get(OWNER), type=Owner).copy
        except msgspec.MsgspecError as error:
            raise StorageError(f"{self.url}: {OWNER} is no owner's name ({error}). Is this a mirrored run?") from None

    def claim(self, copy: str) -> None:
        """From now on ``copy`` may write, and no other."""
        self.put(OWNER, msgspec.json.encode(Owner(copy)))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """One error for what a hundred clients raise."""
        try:
            yield
        except Exception as error:
            raise StorageError(f"{self.url}: {what}: {_first_line(error)}") from None


def _first_line(error: Any) -> str:
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text[:200] + ("" if text.endswith(".") else ".")
