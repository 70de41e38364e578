"""What outlives a scout's process: replies on disk, and when each host may be asked again."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from metaloop.vocabulary.clock import EpochClock
from metaloop.vocabulary.errors import SourceError


class Kept(msgspec.Struct, frozen=True):
    """A reply with what a server needs to say that it has not changed since (RFC 9110, section 13)."""

    url: str
    body: bytes
    at: float
    """When it came, or was last confirmed, in seconds since 1970."""
    etag: str = ""
    modified: str = ""


class _Pace(msgspec.Struct, frozen=True):
    free_at: float = 0.0
    """When the host may be asked again, in seconds since 1970."""


class Cache:
    """A folder of replies by address, and of hosts' paces, shared by all processes of a machine."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder) if folder else None
        self._own: dict[str, _Pace] = {}

    def get(self, url: str) -> Kept | None:
        """The reply that is kept for this address; what cannot be read counts as none."""
        if self._folder is None:
            return None
        try:
            kept = msgspec.json.decode(self._path(self._folder, url).read_bytes(), type=Kept)
        except (OSError, msgspec.MsgspecError, UnicodeError):
            return None
        return kept if kept.url == url else None

    def put(self, kept: Kept) -> None:
        """Keep a reply, whole or not at all; without a folder, or room, it is not kept."""
        if self._folder is None:
            return
        path = self._path(self._folder, kept.url)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(kept))
            temporary.replace(path)

    def wait_turn(self, host: str, interval_s: float, longest_s: float) -> None:
        """Wait until the host may be asked, and book the next ``interval_s`` seconds.

        Raises:
            SourceError: that would take more than ``longest_s``.
        """
        clock = EpochClock()
        with self._pace(host) as booked:
            now = clock.now()
            turn = max(now, booked[0].free_at)
            if turn - now > longest_s:
                raise SourceError(f"asks to be left alone for {turn - now:.0f} s more")
            booked[0] = _Pace(turn + interval_s)
        clock.sleep(turn - now)

    def leave_alone(self, host: str, seconds: float) -> None:
        """The host asked for a pause; all processes keep it."""
        with self._pace(host) as booked:
            booked[0] = _Pace(max(booked[0].free_at, EpochClock().now() + seconds))

    @contextlib.contextmanager
    def _pace(self, host: str) -> Iterator[list[_Pace]]:
        """The host's pace, as a list of one to be changed: under a lock on its file, else this process's own."""
        file = self._pace_file(host)
        if file is None:
            booked = [self._own.get(host, _Pace())]
            yield booked
            self._own[host] = booked[0]
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                booked = [msgspec.json.decode(file.read(), type=_Pace)]
            except msgspec.MsgspecError:
                booked = [_Pace()]
            yield booked
            file.seek(0)
            file.truncate()
            file.write(msgspec.json.encode(booked[0]))

    def _pace_file(self, host: str) -> BinaryIO | None:
        """``None`` where there is no folder, or it cannot be written."""
        if self._folder is None:
            return None
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._folder / f"{_name(host)}.pace", os.O_RDWR | os.O_CREAT, 0o644)
            return os.fdopen(descriptor, "r+b")
        return None

    @staticmethod
    def _path(folder: Path, url: str) -> Path:
        return folder / f"{_name(url)}.json"


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
