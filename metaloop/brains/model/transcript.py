"""Every exchange with a model, one file each: what was asked, what came, what was made of it, what it cost.

They are also the memory of what was paid for: a member that is born again and asked the same is answered from them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from metaloop.brains.model.chat import UNREADABLE, Answer, Message


class Exchange(msgspec.Struct, frozen=True):
    """One question to one member: all turns, all answers, and the complaint about each (empty: it was taken).

    ``asked`` identifies the first turn's messages; ``seconds`` passed until the last answer.
    """

    member: str
    model: str
    question: str
    index: int
    asked: str
    messages: tuple[Message, ...]
    answers: tuple[Answer, ...]
    complaints: tuple[str, ...]
    seconds: float
    usd: float
    outage: bool = False
    """The last complaint is that no answer came at all."""


def identity(messages: Sequence[Message]) -> str:
    """Of a conversation's beginning: 16 hex digits of its SHA-256."""
    return hashlib.sha256(msgspec.json.encode(tuple(messages))).hexdigest()[:16]


def read_exchanges(folder: Path) -> list[Exchange]:
    """All exchanges below a folder of transcripts, by member and question; what cannot be read is left out."""
    found = []
    for path in sorted(folder.glob("*/*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Exchange))
        except (OSError, *UNREADABLE):
            continue
    return found


E = TypeVar("E", bound=Exchange)


class Transcripts(Generic[E]):
    """The exchanges of one member, ``FOLDER/MEMBER/INDEX-ASKED.json``; without a folder nothing is kept."""

    def __init__(self, folder: str, member: str, kind: type[E]) -> None:
        self._folder = Path(folder) / member if folder else None
        self._kind = kind

    def recall(self, index: int, asked: str) -> E | None:
        """What came when exactly this was asked before."""
        path = self._path(index, asked)
        if path is None or not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=self._kind)
        except UNREADABLE:
            return None

    def keep(self, exchange: E) -> None:
        """Write it down, whole or not at all."""
        path = self._path(exchange.index, exchange.asked)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(exchange), indent=1) + b"\n")
        temporary.replace(path)

    def _path(self, index: int, asked: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{index:05d}-{asked[:8]}.json"
