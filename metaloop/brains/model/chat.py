"""One chat completion from any OpenAI-compatible server, or one error: nothing that a server does gets past this.

Retries with backoff, their pauses and the ``Retry-After`` header are the ``openai`` client's own. Ours are a limit on
the whole time and size of a reply, which a server that dribbles or floods would otherwise not meet, and the decoding:
a server's JSON is taken for what its types say, or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol

import msgspec

from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.errors import ModelError
from metaloop.vocabulary.models import ModelCard

MOST_BYTES = 1_000_000
"""Of one HTTP reply: many times what a decision needs."""
LONGEST_SHOWN = 200
CHARS_A_TOKEN = 3
"""Of English and JSON it is about four; fewer here, so that a prompt rather is too short and a count too high."""
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding bytes from outside may raise: wrong JSON, no UTF-8, thousands of brackets."""


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Answer(msgspec.Struct, frozen=True):
    """What a model wrote, and what it was charged for."""

    text: str
    prompt_tokens: int
    reply_tokens: int


class Chat(Protocol):
    """Answers a conversation."""

    def complete(self, messages: Sequence[Message], schema: dict[str, Any]) -> Answer:
        """The next turn, meant to satisfy the JSON schema; :class:`ModelError` where there is none."""
        ...


class _Said(msgspec.Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Said


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(msgspec.Struct, frozen=True):
    """The part of a server's reply that is read (https://platform.openai.com/docs/api-reference/chat/object)."""

    choices: tuple[_Choice, ...]
    usage: _Usage | None = None


class OpenAIChat:
    """The ``openai`` client for one model. ``attempt`` is called before every request, repeated ones too.

    Raises:
        ModelError: the client is not installed, or the environment names no server.
    """

    def __init__(self, card: ModelCard, attempt: Callable[[], None] = lambda: None) -> None:
        try:
            import openai
        except ImportError:
            raise ModelError("model brains need the `openai` client. Install metaloop[models].") from None
        base_url = card.base_url or os.environ.get("OPENAI_BASE_URL", "")
        key = os.environ.get(card.key_variable, "")
        if not base_url and not key:
            raise ModelError(
                f"nothing says where model {card.name!r} is served. Set OPENAI_BASE_URL, base_url in its card, or "
                f"{card.key_variable}."
            )
        if not key.isascii():
            raise ModelError(f"{card.key_variable} holds a key with characters that no key has. Set it anew.")
        self._card = card
        self._key = key
        self._errors = openai.OpenAIError
        self._client = openai.OpenAI(
            api_key=key or "none",
            base_url=base_url or None,
            timeout=card.timeout_s,
            max_retries=card.attempts - 1,
            http_client=openai.DefaultHttpxClient(
                event_hooks={"request": [lambda _: attempt()], "response": [bounded(card.timeout_s)]}
            ),
        )

    def complete(self, messages: Sequence[Message], schema: dict[str, Any]) -> Answer:
        """The next turn; :class:`ModelError` once all attempts have failed, or the reply is no completion."""
        card = self._card
        request: dict[str, Any] = {
            "model": card.served_as or card.name,
            "messages": [msgspec.structs.asdict(message) for message in messages],
            "temperature": card.temperature,
            "max_completion_tokens": card.reply_tokens,
            **_format(card, schema),
        }
        try:
            raw = self._client.chat.completions.with_raw_response.create(**request)
        except self._errors as error:
            raise ModelError(f"{card.name}: {self._told(error)}") from None
        return self._read(raw.http_response.content, messages)

    def _read(self, body: bytes, messages: Sequence[Message]) -> Answer:
        name = self._card.name
        try:
            completion = msgspec.json.decode(body, type=_Completion)
        except UNREADABLE as error:
            raise ModelError(f"{name}: the server's reply is no chat completion: {self._told(error)}") from None
        if not completion.choices:
            raise ModelError(f"{name}: the server's reply holds no choice")
        said = completion.choices[0].message
        text = said.content if said.content is not None else said.refusal or ""
        usage = completion.usage or _estimated(messages, text)
        return Answer(text, max(0, usage.prompt_tokens), max(0, usage.completion_tokens))

    def _told(self, error: BaseException) -> str:
        """The error in one line, without the key: servers repeat it, and errors are written down."""
        text = " ".join(str(error).split()) or type(error).__name__
        text = text.replace(self._key, "***") if self._key else text
        return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _estimated(messages: Sequence[Message], text: str) -> _Usage:
    """Tokens where the server does not count them, so that an allowance still ends."""
    return _Usage(estimated_tokens(messages), len(text) // CHARS_A_TOKEN + 1)


def estimated_tokens(messages: Sequence[Message]) -> int:
    """Tokens of a prompt, rather too many."""
    return sum(len(message.content) for message in messages) // CHARS_A_TOKEN + 1


def room_beside(card: ModelCard, system: str) -> int:
    """Characters that a question may have beside a system prompt, so that the reply fits too."""
    return CHARS_A_TOKEN * (card.context_tokens - card.reply_tokens) - len(system)


def _format(card: ModelCard, schema: dict[str, Any]) -> dict[str, Any]:
    if card.reply_format == "schema":
        told = {"name": "decision", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": told}}
    return {"response_format": {"type": "json_object"}} if card.reply_format == "json" else {}


def bounded(seconds: float) -> Any:
    """A hook for every response: its body ends within ``seconds`` and :data:`MOST_BYTES`, or fails."""
    import httpx2

    class Body(httpx2.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream, self._clock = stream, WallClock()

        def __iter__(self) -> Iterator[bytes]:
            size = 0
            for chunk in self._stream:
                size += len(chunk)
                if size > MOST_BYTES:
                    raise httpx2.ReadError(f"the reply is larger than {MOST_BYTES} bytes")
                if self._clock.now() > seconds:
                    raise httpx2.ReadTimeout(f"the reply took more than {seconds:g} s")
                yield chunk

        def close(self) -> None:
            self._stream.close()

    def limit(response: Any) -> None:
        response.stream = Body(response.stream)

    return limit
