"""Keeps a :class:`~metaloop.files.store.Store` a little behind a run's or an evolution's folder, and never torn.

The local folder is the truth. What a file is made from goes before it: an organization before its journal, a journal
before its confirmations, results last; and files are read in the reverse order, so that nothing in the copy ever
speaks of what is not there. Files of lines go up to their last whole line. A git repository goes once its org run has
ended: until then it can be rebuilt from its journal, and half of one is worth nothing.

Only one copy of a folder may write. Who fetches it (:func:`fetch`) takes it over; the old one finds out and stops.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from metaloop.files.run_folder import read_json, write_json
from metaloop.files.store import OWNER, Store
from metaloop.vocabulary.errors import StorageError, TakenOver, UsageError

RECORD = "mirror.json"
"""In the local folder: where it is mirrored to, and this copy's name."""
_FIRST = ("run.json", "evolution.json")
_LATER = {"journal.jsonl": 2, "alive": 2, "confirmation.jsonl": 3, "measured.jsonl": 4}
_HIGHEST = 5
_LAST = ("results.json", "report.html", "mlflow.json")


class MirrorRecord(msgspec.Struct, frozen=True):
    """Where a folder is mirrored to, and the name of this copy of it."""

    url: str
    copy: str


class Mirror:
    """Sends what has changed since the last time; see the module for the order."""

    def __init__(self, folder: Path, store: Store, copy: str) -> None:
        self._folder = folder
        self._store = store
        self._copy = copy
        self._sent: dict[str, tuple[int, int]] = {}

    def push(self) -> int:
        """Bring the store up to date; bytes sent.

        Raises:
            StorageError: it cannot be written, or what was there is gone.
            TakenOver: another copy of the folder has gone on from there.
        """
        owner = self._store.owner()
        if owner is None:
            raise StorageError(f"{self._store.url} is empty: what was mirrored there is gone.")
        if owner != self._copy:
            raise TakenOver(f"{self._store.url} was taken over by another copy of this run; nothing more goes there.")
        present: dict[str, tuple[int, int]] = {}
        read: list[tuple[str, bytes]] = []
        for rank in range(_HIGHEST, -1, -1):  # each listed anew: what a file speaks of was there before it
            files = {name: state for name, state in _states(self._folder) if _rank(name) == rank}
            present |= files
            changed = [name for name, state in files.items() if self._sent.get(name) != state]
            read += [(name, data) for name in changed if (data := _whole(self._folder / name)) is not None]
        for name, data in reversed(read):
            self._store.put(name, data)
            self._sent[name] = present[name]
        for name in self._sent.keys() - present.keys():
            self._store.remove(name)
            del self._sent[name]
        return sum(len(data) for _, data in read)


def begin_mirror(folder: Path, url: str, copy: str) -> Mirror:
    """The mirror of a folder: the one it had, or a new one at ``url``, where this copy is then called ``copy``.

    Raises:
        UsageError: another run is there, or another copy of this one has taken over.
        StorageError: the storage cannot be used.
    """
    known = mirror_record(folder)
    record = known if known is not None and url in ("", known.url) else MirrorRecord(url, copy)
    store = Store(record.url)
    owner = store.owner()
    if owner is not None and record is not known:
        raise UsageError(
            f"{record.url} already holds a run. Continue it with `metaloop resume {record.url}`, or name another place."
        )
    if owner not in (None, record.copy):
        raise UsageError(
            f"{record.url} was taken over by another copy of this run, which has gone on from there. "
            f"Continue that one: `metaloop resume {record.url} --out NEW`."
        )
    write_json(folder / RECORD, record)
    store.claim(record.copy)
    return Mirror(folder, store, record.copy)


def mirror_record(folder: Path) -> MirrorRecord | None:
    """Where the folder is mirrored to; ``None`` where it is not."""
    path = folder / RECORD
    return read_json(path, MirrorRecord) if path.exists() else None


def fetch(url: str, folder: Path, copy: str) -> None:
    """Make ``folder`` a copy of what was mirrored to ``url``, and its owner.

    Raises:
        UsageError: there is no run there, or the folder exists.
        StorageError: the storage cannot be used.
    """
    store = Store(url)
    if folder.exists():
        raise UsageError(
            f"{folder} exists. Name another folder with --out, or continue it: `metaloop resume {folder}`."
        )
    _check_holds_run(store)
    store.claim(copy)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    for name in store.names():
        if name != OWNER:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(store.get(name))
    write_json(partial / RECORD, MirrorRecord(store.url, copy))
    partial.rename(folder)


WATCHED = ("run.json", "evolution.json", "journal.jsonl", "alive", "confirmation.jsonl", "results.json")
"""What says how a run is getting on."""


class Glance:
    """A local copy of what a mirror says of how a run is getting on, without taking anything over.

    Raises:
        UsageError: there is no run at the URL.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._store = Store(url)
        self._folder = folder
        _check_holds_run(self._store)

    def update(self) -> None:
        """Fetch what has changed; a file that has not keeps its time.

        Raises:
            StorageError
        """
        for name in self._store.names():
            path = self._folder / name
            if path.name not in WATCHED:
                continue
            data = self._store.get(name)
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def _check_holds_run(store: Store) -> None:
    if not any(store.has(name) for name in _FIRST):
        raise UsageError(f"{store.url} holds no run: neither {' nor '.join(_FIRST)} is there.")


def _states(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every file that goes, by its path from the folder, with size and time of change."""
    for root, folders, files in os.walk(folder):
        here = Path(root)
        if "repo" in folders and _under_way(here / "journal.jsonl"):
            folders.remove("repo")
        for file in files:
            path = here / file
            name = path.relative_to(folder).as_posix()
            if name == RECORD or path.suffix == ".lock" or (file.startswith(".") and "/.git/" not in f"/{name}"):
                continue
            try:
                stat = path.stat()
            except OSError:  # gone since it was listed
                continue
            yield name, (stat.st_size, stat.st_mtime_ns)


def _under_way(journal: Path) -> bool:
    """Whether the org run has not ended: its last line says so."""
    if not journal.exists():
        return False
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - 4096))
        return b'"run_ended"' not in file.read()


def _rank(name: str) -> int:
    """Place in the order of sending."""
    base = name.rpartition("/")[2]
    if base in _FIRST:
        return 1
    return _HIGHEST if base in _LAST else _LATER.get(base, 0)


def _whole(path: Path) -> bytes | None:
    """The file's bytes, up to its last line if it has lines; ``None`` where it is gone."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data[: data.rfind(b"\n") + 1] if path.suffix == ".jsonl" else data
