"""One chat completion from any OpenAI-compatible server, or one error: nothing that a server does gets past this.

Retries with backoff, their pauses and the ``Retry-After`` header are the ``openai`` client's own. Ours are a limit on
the whole time and size of a reply, which a server that dribbles or floods would otherwise not meet, and the decoding:
a server's JSON is taken for what its types say, or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol

import msgspec

from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.errors import ModelError
from metaloop.vocabulary.models import ModelCard

MOST_BYTES = 1_000_000
"""Of one HTTP reply: many times what a decision needs."""
LONGEST_SHOWN = 200


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
    """The ``openai`` client for one model.

    Raises:
        ModelError: the client is not installed, or the environment names no server.
    """

    def __init__(self, card: ModelCard) -> None:
        try:
            import httpx2
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
        self._card = card
        self._errors = openai.OpenAIError
        transport = bounded(httpx2.HTTPTransport(), card.timeout_s)
        self._client = openai.OpenAI(
            api_key=key or "none",
            base_url=base_url or None,
            timeout=card.timeout_s,
            max_retries=card.attempts - 1,
            http_client=openai.DefaultHttpxClient(transport=transport),
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
            raise ModelError(f"{card.name}: {_short(error)}") from None
        return _read(card, raw.http_response.content)


def _format(card: ModelCard, schema: dict[str, Any]) -> dict[str, Any]:
    if card.reply_format == "schema":
        told = {"name": "decision", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": told}}
    return {"response_format": {"type": "json_object"}} if card.reply_format == "json" else {}


def _read(card: ModelCard, body: bytes) -> Answer:
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except msgspec.MsgspecError as error:
        raise ModelError(f"{card.name}: the server's reply is no chat completion: {_short(error)}") from None
    if not completion.choices:
        raise ModelError(f"{card.name}: the server's reply holds no choice")
    said, usage = completion.choices[0].message, completion.usage or _Usage()
    text = said.content if said.content is not None else said.refusal or ""
    return Answer(text, max(0, usage.prompt_tokens), max(0, usage.completion_tokens))


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def bounded(inner: Any, seconds: float) -> Any:
    """An HTTP transport whose replies end within ``seconds`` and :data:`MOST_BYTES`, or fail."""
    import httpx2

    class Body(httpx2.SyncByteStream):
        def __init__(self, stream: Any, clock: WallClock) -> None:
            self._stream, self._clock = stream, clock

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

    class Transport(httpx2.BaseTransport):
        def handle_request(self, request: Any) -> Any:
            clock = WallClock()
            reply = inner.handle_request(request)
            reply.stream = Body(reply.stream, clock)
            return reply

        def close(self) -> None:
            inner.close()

    return Transport()
