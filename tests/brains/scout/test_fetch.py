"""Asking servers that behave and misbehave: polite, bounded, cached; one error where there is no reply."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from metaloop.brains.scout.cache import Cache
from metaloop.brains.scout.fetch import MOST_BYTES, Fetcher
from metaloop.vocabulary.errors import SourceError
from metaloop.vocabulary.sources import Source
from tests.brains.scout import server as s

GOOD = s.atom(("A title", "A text", "2401.00001"))


def source(address: str, **fields: Any) -> Source:
    return Source("papers", "arxiv", address, **{"interval_s": 0.0, "timeout_s": 30.0, "attempts": 2, **fields})


def test_the_query_is_sent_and_the_reply_comes_back(tmp_path: Path) -> None:
    with s.serving(s.raw(GOOD)) as (address, desk):
        reply = Fetcher(Cache(str(tmp_path))).get(source(address), {"search_query": "all:a b&c", "start": 0})
    assert reply == (GOOD, "")
    assert desk.paths == ["/api?search_query=all%3Aa+b%26c&start=0"]
    assert desk.headers[0]["User-Agent"].startswith("metaloop/")


def test_a_fresh_reply_is_not_asked_for_again_and_an_old_one_only_if_changed(tmp_path: Path) -> None:
    with s.serving(s.not_modified_if('"v1"', GOOD)) as (address, desk):
        asker = Fetcher(Cache(str(tmp_path)))
        assert asker.get(source(address), {}) == asker.get(source(address), {})
        assert len(desk.paths) == 1
        again = Fetcher(Cache(str(tmp_path))).get(source(address, cache_s=0.0), {})
    assert again == (GOOD, "")
    assert [h.get("If-None-Match") for h in desk.headers] == [None, '"v1"']


def test_where_the_server_fails_an_old_reply_is_used_and_said_to_be_old(tmp_path: Path) -> None:
    with s.serving(s.raw(GOOD), s.fails(500)) as (address, _):
        asker = Fetcher(Cache(str(tmp_path)))
        asker.get(source(address, cache_s=0.0), {})
        reply = asker.get(source(address, cache_s=0.0), {})
    assert reply.body == GOOD
    assert reply.note == "HTTP 500 (2 tries); 0.0 h old reply used"


def test_a_broken_cache_counts_as_none(tmp_path: Path) -> None:
    with s.serving(s.raw(GOOD)) as (address, desk):
        asker = Fetcher(Cache(str(tmp_path)))
        asker.get(source(address), {})
        for file in tmp_path.glob("*.json"):
            file.write_bytes(b'{"url": 3')
        for file in tmp_path.glob("*.pace"):
            file.write_bytes(b"\xff")
        assert asker.get(source(address), {}).body == GOOD
    assert len(desk.paths) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(tmp_path: Path, status: int) -> None:
    with s.serving(s.fails(status), s.raw(GOOD)) as (address, desk):
        assert Fetcher(Cache(str(tmp_path))).get(source(address), {}).body == GOOD
    assert len(desk.paths) == 2


@pytest.mark.parametrize("status", [400, 404, 403])
def test_what_will_not_pass_is_not_tried_again(tmp_path: Path, status: int) -> None:
    with s.serving(s.fails(status)) as (address, desk), pytest.raises(SourceError, match=f"^HTTP {status}$"):
        Fetcher(Cache(str(tmp_path))).get(source(address), {})
    assert len(desk.paths) == 1


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    with s.serving(s.fails(429, Retry_After="1"), s.raw(GOOD)) as (address, _):
        began = time.monotonic()
        assert Fetcher(Cache(str(tmp_path))).get(source(address), {}).body == GOOD
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, lambda: {"Retry_After": "3600"}),
        (429, lambda: {"Retry_After": formatdate(time.time() + 3600, usegmt=True)}),
        (403, lambda: {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(int(time.time()) + 3600)}),
    ],
    ids=["seconds", "date", "github"],
)
def test_a_long_pause_is_not_waited_for_and_kept_by_every_process(
    tmp_path: Path, status: int, headers: Callable[[], dict[str, str]]
) -> None:
    with s.serving(s.fails(status, **headers())) as (address, desk):
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(SourceError, match=r"asks to be left alone for 3[56]\d\d s"):
                Fetcher(Cache(str(tmp_path))).get(source(address), {})
        assert time.monotonic() - began < 60.0
    assert len(desk.paths) == 1


def test_the_last_request_of_a_window_closes_it(tmp_path: Path) -> None:
    reset = str(int(time.time()) + 3600)
    with s.serving(s.raw(GOOD, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset)) as (address, desk):
        assert Fetcher(Cache(str(tmp_path))).get(source(address), {"q": "a"}).body == GOOD
        with pytest.raises(SourceError, match="left alone"):
            Fetcher(Cache(str(tmp_path))).get(source(address), {"q": "b"})
    assert len(desk.paths) == 1


@pytest.mark.parametrize("nonsense", ["soon", "-5", "9" * 400, "1e9", "Fri, 99 Xxx 9999"])
def test_a_pause_that_is_none_is_an_ordinary_one(tmp_path: Path, nonsense: str) -> None:
    with s.serving(s.fails(429, Retry_After=nonsense), s.raw(GOOD)) as (address, _):
        assert Fetcher(Cache(str(tmp_path))).get(source(address), {}).body == GOOD


def test_requests_to_a_host_keep_their_distance_over_processes(tmp_path: Path) -> None:
    """Two scouts with a cache in common, as two processes have it: a pause lies between every two requests."""
    with s.serving(s.raw(GOOD)) as (address, desk):
        began = time.monotonic()
        for number in range(3):
            Fetcher(Cache(str(tmp_path))).get(source(address, interval_s=0.3), {"start": number})
        assert time.monotonic() - began >= 0.6
    assert len(desk.paths) == 3


@pytest.mark.parametrize(("act", "told"), [(s.hangs, "no answer in time"), (s.dribbles, "took more than 0.4 s")])
def test_time_is_bounded(tmp_path: Path, act: s.Act, told: str) -> None:
    with s.serving(act) as (address, _):
        began = time.monotonic()
        with pytest.raises(SourceError, match=told):
            Fetcher(Cache(str(tmp_path))).get(source(address, timeout_s=0.4, attempts=1), {})
        assert time.monotonic() - began < 20.0


def test_size_is_bounded_unpacked_too(tmp_path: Path) -> None:
    import gzip

    packed = gzip.compress(b" " * (2 * MOST_BYTES))
    for act in (s.raw(b" " * 10_000_000), s.raw(packed, Content_Encoding="gzip")):
        with s.serving(act) as (address, _), pytest.raises(SourceError, match="larger than 5000000 bytes"):
            Fetcher(Cache(str(tmp_path))).get(source(address), {})


def test_half_a_reply_is_none(tmp_path: Path) -> None:
    with s.serving(s.half) as (address, desk), pytest.raises(SourceError, match=r"\(2 tries\)"):
        Fetcher(Cache(str(tmp_path))).get(source(address), {})
    assert len(desk.paths) == 2
    assert not list(tmp_path.glob("*.json"))


def test_nobody_there(tmp_path: Path) -> None:
    with s.serving(s.raw(GOOD)) as (address, _):
        gone = address
    with pytest.raises(SourceError, match="ConnectionError"):
        Fetcher(Cache(str(tmp_path))).get(source(gone, attempts=1), {})


def test_a_ring_of_redirects_ends(tmp_path: Path) -> None:
    def around(handler: s.Handler) -> None:
        handler.send(302, b"", {"Location": handler.path + "x"})

    with s.serving(around) as (address, desk), pytest.raises(SourceError, match="TooManyRedirects"):
        Fetcher(Cache(str(tmp_path))).get(source(address, attempts=1), {})
    assert len(desk.paths) == 4


def test_the_token_is_sent_and_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "s3cret-token")
    with s.serving(s.echoes_key) as (address, desk):
        reply = Fetcher(Cache(str(tmp_path))).get(source(address, key_variable="A_TOKEN"), {})
    assert desk.headers[0]["Authorization"] == "Bearer s3cret-token"
    assert b"s3cret" not in reply.body
    assert all(b"s3cret" not in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel…"])
def test_a_token_that_is_none_is_an_error_that_does_not_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("A_TOKEN", key)
    with s.serving(s.raw(GOOD)) as (address, _), pytest.raises(SourceError) as caught:
        Fetcher(Cache(str(tmp_path))).get(source(address, key_variable="A_TOKEN", attempts=1), {})
    assert key[:3] not in str(caught.value)


@pytest.mark.parametrize("folder", ["", "a-file/cache"])
def test_without_a_folder_nothing_is_kept_but_the_pace_is(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a-file").write_text("no folder can be made below this")
    with s.serving(s.raw(GOOD)) as (address, desk):
        asker, began = Fetcher(Cache(str(tmp_path / folder) if folder else "")), time.monotonic()
        asked = source(address, interval_s=0.3)
        assert asker.get(asked, {}) == asker.get(asked, {})
        assert time.monotonic() - began >= 0.3
    assert len(desk.paths) == 2
