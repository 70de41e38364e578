"""What a server allows, kept over all processes of a machine: requests at once, requests and tokens a minute.

The processes share a folder. A place in the crowd is a locked file, and the kernel takes the lock from whoever dies;
what was sent in the last minute stands in one small file, changed under a lock and replaced whole. Nobody has to be
alive for others to go on. Who waits is not served in order: members have few questions, and each waits for its own.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec
from filelock import FileLock, Timeout

from metaloop.brains.model.chat import UNREADABLE, Answer, Chat, Message, OpenAIChat, estimated_tokens
from metaloop.vocabulary.clock import MachineClock
from metaloop.vocabulary.models import ModelCard

WINDOW_S = 60.0
"""A minute, in which what was sent is counted: no 60 s whatever hold more than a card allows."""
POLL_S = 0.05
"""Between two looks for a free place: short beside an answer, long beside a lock."""


class SharedClock(Protocol):
    """Reads the same in every process of the machine."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """One request: when (s), with how many tokens (expected; once it is answered, those that it had), by whom."""

    t: float
    tokens: int
    key: str


class Gate:
    """The limits of one model's card, by files in ``folder``, which all processes share."""

    def __init__(self, card: ModelCard, folder: Path, clock: SharedClock) -> None:
        self._card = card
        self._clock = clock
        digest = hashlib.sha256(card.name.encode()).hexdigest()[:8]
        self._folder = folder / f"{re.sub(r'[^A-Za-z0-9.-]', '_', card.name)[:60]}-{digest}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._folder / "sent.json"

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the card's places, ``at_once`` of which there are; waits until one is free."""
        if not self._card.at_once:
            yield
            return
        lock = self._free_place()
        try:
            yield
        finally:
            lock.release()

    def _free_place(self) -> FileLock:
        while True:
            for number in range(self._card.at_once):
                lock = FileLock(self._folder / f"place-{number}.lock")
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
                return lock
            self._clock.sleep(POLL_S)

    def admit(self, tokens: int) -> str:
        """Wait until a request of that many tokens is within the limits, count it, and return its key."""
        key = secrets.token_hex(8)  # a process may have many members, and a number of its own may be used again
        while True:
            with self._locked():
                now = self._clock.now()
                sent = self._lately(now)
                wait = until_allowed(self._card, sent, tokens, now)
                if wait <= 0:
                    self._write([*sent, Sent(now, tokens, key)])
                    return key
            self._clock.sleep(min(wait, 1.0))

    def settle(self, key: str, tokens: int) -> None:
        """What a request came to, in place of what was expected."""
        with self._locked():
            sent = self._lately(self._clock.now())
            self._write([msgspec.structs.replace(s, tokens=tokens) if s.key == key else s for s in sent])

    def _locked(self) -> FileLock:
        return FileLock(self._folder / "sent.lock")

    def _lately(self, now: float) -> list[Sent]:
        """What was sent in the last minute; what lies in the future was written before the machine was started anew."""
        try:
            sent = msgspec.json.decode(self._file.read_bytes(), type=list[Sent])
        except (OSError, *UNREADABLE):
            return []
        return [each for each in sent if now - WINDOW_S < each.t <= now]

    def _write(self, sent: Sequence[Sent]) -> None:
        temporary = self._file.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(sent))
        temporary.replace(self._file)


def until_allowed(card: ModelCard, sent: Sequence[Sent], tokens: int, now: float) -> float:
    """Seconds until a request of that many tokens is within the card's limits; 0 if it is now.

    One that alone has more tokens than a minute allows is let through when nothing else is left in it: it would
    otherwise wait for ever, and what to say of it is the server's to say.
    """
    left = list(sent)
    while left and not _fits(card, left, tokens):
        left.pop(0)
    gone = len(sent) - len(left)
    return max(0.0, sent[gone - 1].t + WINDOW_S - now) if gone else 0.0


def _fits(card: ModelCard, sent: Sequence[Sent], tokens: int) -> bool:
    requests = not card.requests_per_minute or len(sent) < card.requests_per_minute
    return requests and (
        not card.tokens_per_minute or sum(each.tokens for each in sent) + tokens <= card.tokens_per_minute
    )


class LimitedChat:
    """A chat whose every attempt, repeated ones too, keeps to the card's limits. Who waits, thinks."""

    def __init__(self, card: ModelCard, gate: Gate, open_chat: Callable[[Callable[[], None]], Chat]) -> None:
        self._card = card
        self._gate = gate
        self._expected, self._key = 0, ""
        self._chat = open_chat(self._attempt)

    def complete(self, messages: Sequence[Message], schema: dict[str, Any]) -> Answer:
        """The next turn, once there is room for it; a failed attempt counts with the tokens that it might have."""
        self._expected = estimated_tokens(messages) + self._card.reply_tokens
        with self._gate.place():
            answer = self._chat.complete(messages, schema)
        self._gate.settle(self._key, answer.prompt_tokens + answer.reply_tokens)
        return answer

    def _attempt(self) -> None:
        self._key = self._gate.admit(self._expected)


def open_chat(card: ModelCard, limits: str) -> Chat:
    """The client of a model, within its card's limits; ``limits`` is the folder that all its users share (empty: none).

    Raises:
        ModelError: the client is not installed, or the environment names no server.
    """
    if not limits or not (card.at_once or card.requests_per_minute or card.tokens_per_minute):
        return OpenAIChat(card)
    gate = Gate(card, Path(limits), MachineClock())
    return LimitedChat(card, gate, lambda attempt: OpenAIChat(card, attempt))
