"""One completion or one error, whatever the server does."""

from __future__ import annotations

import pytest

from metaloop.brains.model.chat import MOST_BYTES, Message, OpenAIChat
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.errors import ModelError
from metaloop.vocabulary.models import ModelCard
from tests.brains.model.server import Act, Handler, dribbles, fails, half, hangs, raw, says, serving

ASKED = (Message("system", "be brief"), Message("user", "well?"))
SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
KEY = "sk-test-0123456789"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def card(url: str, **fields: object) -> ModelCard:
    return ModelCard("m", **{"base_url": url, "timeout_s": 10.0, "attempts": 2, **fields})  # type: ignore[arg-type]


def test_an_answer_comes_with_its_tokens() -> None:
    with serving(says("yes", 12, 3)) as (url, desk):
        answer = OpenAIChat(card(url, served_as="big-one", temperature=0.25)).complete(ASKED, SCHEMA)
    assert (answer.text, answer.prompt_tokens, answer.reply_tokens) == ("yes", 12, 3)
    (request,) = desk.requests
    assert (request["model"], request["temperature"]) == ("big-one", 0.25)
    assert [turn["role"] for turn in request["messages"]] == ["system", "user"]
    assert request["response_format"]["json_schema"]["schema"] == SCHEMA
    assert desk.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize(("reply_format", "sent"), [("json", {"type": "json_object"}), ("text", None)])
def test_a_server_is_asked_for_what_it_can_do(reply_format: str, sent: object) -> None:
    with serving(says("{}")) as (url, desk):
        OpenAIChat(card(url, reply_format=reply_format)).complete(ASKED, SCHEMA)
    assert desk.requests[0].get("response_format") == sent


@pytest.mark.parametrize("trouble", [fails(429, Retry_After="0"), fails(500), fails(503), half, hangs])
def test_what_passes_is_tried_again(trouble: Act) -> None:
    with serving(trouble, says("yes")) as (url, desk):
        assert OpenAIChat(card(url, timeout_s=2.0)).complete(ASKED, SCHEMA).text == "yes"
    assert len(desk.requests) == 2


@pytest.mark.parametrize("trouble", [fails(429, Retry_After="0"), fails(500), half, hangs, dribbles])
def test_what_stays_is_an_error_after_all_attempts(trouble: Act) -> None:
    clock = WallClock()
    with serving(trouble) as (url, desk), pytest.raises(ModelError, match=r"^m: "):
        OpenAIChat(card(url, timeout_s=1.0)).complete(ASKED, SCHEMA)
    assert len(desk.requests) == 2
    assert clock.now() < 15


def test_a_refused_key_is_not_tried_again_and_not_told() -> None:
    with serving(fails(401)) as (url, desk), pytest.raises(ModelError) as caught:
        OpenAIChat(card(url)).complete(ASKED, SCHEMA)
    assert len(desk.requests) == 1
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": NaN}}',
        b'{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}}',
        b"[1, 2]",
        b"",
        b"\xff\xfe\x00",
        b'{"choices": [{"message": {"content": "caf\xe9"}}]}',
        b'{"x": ' + b"[" * 100_000,
    ],
)
def test_what_is_no_completion_is_an_error(body: bytes) -> None:
    with serving(raw(body)) as (url, _), pytest.raises(ModelError):
        OpenAIChat(card(url, attempts=1)).complete(ASKED, SCHEMA)


def test_ten_megabytes_are_not_read_to_the_end() -> None:
    with serving(raw(b" " * (10 * MOST_BYTES))) as (url, _), pytest.raises(ModelError):
        OpenAIChat(card(url, attempts=1, timeout_s=20.0)).complete(ASKED, SCHEMA)


def test_a_server_that_repeats_the_key_does_not_get_it_told() -> None:
    def echo(handler: Handler) -> None:
        told = f'{{"error": {{"message": "bad key {handler.headers["Authorization"]}"}}}}'
        handler.send(401, told.encode())

    with serving(echo) as (url, _), pytest.raises(ModelError) as caught:
        OpenAIChat(card(url)).complete(ASKED, SCHEMA)
    assert KEY not in str(caught.value)
    assert "***" in str(caught.value)


def test_a_server_that_does_not_count_is_counted_for() -> None:
    with serving(raw(b'{"choices": [{"message": {"content": "four words are here"}}]}')) as (url, _):
        answer = OpenAIChat(card(url)).complete(ASKED, SCHEMA)
    assert (answer.prompt_tokens, answer.reply_tokens) == (5, 7)


def test_a_key_that_cannot_be_sent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "schlüssel")
    with pytest.raises(ModelError, match="OPENAI_API_KEY"):
        OpenAIChat(card("http://127.0.0.1:9/v1"))


def test_no_content_is_an_empty_answer() -> None:
    with serving(raw(b'{"choices": [{"message": {"content": null, "refusal": "I will not"}}]}')) as (url, _):
        assert OpenAIChat(card(url)).complete(ASKED, SCHEMA).text == "I will not"


def test_nobody_listening_is_an_error() -> None:
    with pytest.raises(ModelError):
        OpenAIChat(card("http://127.0.0.1:9/v1", attempts=1)).complete(ASKED, SCHEMA)


def test_without_address_and_key_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ModelError, match="Set OPENAI_BASE_URL"):
        OpenAIChat(ModelCard("m"))
