"""The append-only journal of an org run: one JSON object per line, in the order things happened.

The journal is the truth; every state is a replay of it. A process may be killed at any byte: a torn last line
was never acknowledged to anyone, so reading drops it and appending cuts it off.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import msgspec

from metaloop.files.lines import append, cut_torn_line, hold
from metaloop.vocabulary.errors import FileError, JournalError
from metaloop.vocabulary.events import Event

_DECODER = msgspec.json.Decoder(Event)
_ENCODER = msgspec.json.Encoder(order="deterministic")


class Journal(Protocol):
    """Where a controller writes events, one at a time, each durable before the next."""

    def append(self, event: Event) -> None: ...


class MemoryJournal:
    """Keeps the events in a list: for simulated runs and tests."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, event: Event) -> None:
        self.events.append(event)


class FileJournal:
    """Appends to ``path``, which it creates; a torn last line from a killed process is cut off first.

    Each event reaches the operating system before ``append`` returns (it survives the death of the process; a
    power cut may cost the last events, which then look like work that was never done and is done again).

    Whoever appends holds the file: a controller that was stopped and comes back finds no other one in its place,
    because none could begin.

    Raises:
        FileError: another process holds the journal; or, from ``append``, an event could not be written. Then nothing
            of it stands there, and the controller's state knows nothing of it either.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = cast(BinaryIO, path.open("ab", buffering=0))
        try:
            hold(self._file, path)
        except FileError:
            self._file.close()
            raise
        cut_torn_line(path)

    def append(self, event: Event) -> None:
        append(self._file, self._path, encode(event) + b"\n")

    def close(self) -> None:
        self._file.close()


class Tail:
    """Reads a journal as it grows: each call gives the whole events that were added since the last one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._lines = 0

    def news(self) -> list[Event]:
        """The new events; none where there is no journal yet. A journal that became shorter than what was read was
        begun anew: :class:`EOFError`, and this tail is of no more use.

        Raises:
            JournalError: a whole line is not an event (``path:line``).
        """
        if not self._path.exists():
            return []
        if self._path.stat().st_size < self._read:
            raise EOFError(self._path)
        with self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        events = list(_decoded(self._path, data[:whole].split(b"\n")[:-1], self._lines + 1))
        self._read += whole
        self._lines += len(events)
        return events


def encode(event: Event) -> bytes:
    """The one spelling of an event."""
    return _ENCODER.encode(event)


def read(path: Path) -> list[Event]:
    """All whole events of a journal.

    Raises:
        JournalError: the file is missing, or a whole line is not an event (``path:line``).
    """
    return list(iterate(path))


def iterate(path: Path) -> Iterator[Event]:
    """As :func:`read`, one event at a time."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(path, None, f"cannot be read: {error.strerror}. Name an org run's journal.jsonl.") from None
    yield from _decoded(path, data.split(b"\n")[:-1], 1)


def _decoded(path: Path, lines: list[bytes], first: int) -> Iterator[Event]:
    """The events of whole lines, numbered from ``first``."""
    for number, line in enumerate(lines, start=first):
        try:
            yield _DECODER.decode(line)
        except msgspec.MsgspecError as error:
            raise JournalError(
                path, number, f"not a journal event ({error}). Restore the line, or cut the file before it."
            ) from None
