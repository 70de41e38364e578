"""One reply from a source's server, polite and bounded; or one error. The only place that asks the network for ideas.

Polite: a pace for every host, kept by all processes of the machine; ``Retry-After`` and GitHub's ``X-RateLimit-*``
obeyed; replies cached, and asked for again with ``If-None-Match``. Bounded: a body ends within a time and a size. Where
a server fails, an old reply is better than none, and said to be old.
"""

from __future__ import annotations

import email.utils
import os
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from urllib3.exceptions import HTTPError

from metaloop import __version__
from metaloop.brains.scout.cache import Cache, Kept
from metaloop.vocabulary.clock import EpochClock, WallClock
from metaloop.vocabulary.errors import SourceError
from metaloop.vocabulary.sources import Source

if TYPE_CHECKING:
    import requests

MOST_BYTES = 5_000_000
"""Of one reply, unpacked: a hundred arXiv entries are about 300 kB."""
LONGEST_PAUSE_S = 60.0
"""A longer pause is not waited for: the source is left alone and says so."""
FIRST_PAUSE_S = 0.5
"""Before the second try; each later pause is twice as long."""
CHUNK = 65_536
MOST_REDIRECTS = 3
LATER = (429, 500, 502, 503, 504)


class Reply(NamedTuple):
    """A body, and a note where it is an old one."""

    body: bytes
    note: str = ""


class _Question(NamedTuple):
    """What is asked, with the token that goes along, and the reply that is kept."""

    source: Source
    url: str
    key: str
    kept: Kept | None


class _Later(Exception):
    """The server failed in a way that may pass; ``pause_s`` where it said how long."""

    def __init__(self, message: str, pause_s: float | None = None) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class Fetcher:
    """Asks servers; one per scout."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def get(self, source: Source, parameters: dict[str, Any]) -> Reply:
        """The reply to a question.

        Raises:
            SourceError: there is none, not even an old one.
        """
        import requests

        url = requests.Request("GET", source.address, params=parameters).prepare().url or ""
        kept, now = self._cache.get(url), EpochClock().now()
        if kept is not None and 0 <= now - kept.at < source.cache_s:
            return Reply(kept.body)
        try:
            key = os.environ.get(source.key_variable, "") if source.key_variable else ""
            return Reply(self._ask(_Question(source, url, key, kept)))
        except SourceError as error:
            if kept is None:
                raise
            return Reply(kept.body, f"{error}; {(now - kept.at) / 3600:.1f} h old reply used")

    def _ask(self, question: _Question) -> bytes:
        source, host = question.source, urlsplit(question.url).netloc
        pause, problem = FIRST_PAUSE_S, ""
        for attempt in range(source.attempts):
            self._cache.wait_turn(host, source.interval_s, LONGEST_PAUSE_S)
            try:
                return self._once(question)
            except _Later as later:
                problem = str(later)
                asked = later.pause_s if later.pause_s is not None else pause
                self._cache.leave_alone(host, asked)
                if asked > LONGEST_PAUSE_S:
                    raise SourceError(f"{problem}; asks to be left alone for {asked:.0f} s") from None
                if attempt + 1 < source.attempts:
                    WallClock().sleep(asked)
                pause *= 2.0
        raise SourceError(f"{problem} ({source.attempts} tries)")

    def _once(self, question: _Question) -> bytes:
        import requests

        timeout_s, clock = question.source.timeout_s, WallClock()
        try:
            with requests.Session() as session:
                session.max_redirects = MOST_REDIRECTS
                with session.get(question.url, headers=_headers(question), timeout=timeout_s, stream=True) as response:
                    return self._read(response, question, clock)
        except requests.RequestException as error:
            raise _Later(_told(error)) from None
        except (ValueError, OSError, HTTPError) as error:  # a header that is none, a socket that breaks off
            raise _Later(_told(error)) from None

    def _read(self, response: requests.Response, question: _Question, clock: WallClock) -> bytes:
        status, now, kept = response.status_code, EpochClock().now(), question.kept
        if status == 304 and kept is not None:
            self._cache.put(msgspec.structs.replace(kept, at=now))
            return kept.body
        limited = status == 403 and ("Retry-After" in response.headers or _remaining(response) == 0)
        if status in LATER or limited:
            raise _Later(f"HTTP {status}", _pause(response, now))
        if status != 200:
            raise SourceError(f"HTTP {status}")
        body = _body(response, question.source.timeout_s, clock)
        if question.key:  # servers repeat what they are told, and replies are written down
            body = body.replace(question.key.encode(), b"***")
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        self._cache.put(Kept(question.url, body, now, etag[:500], modified[:100]))
        if _remaining(response) == 0:
            self._cache.leave_alone(urlsplit(question.url).netloc, _pause(response, now) or 0.0)
        return body


def _headers(question: _Question) -> dict[str, str]:
    headers = {"User-Agent": f"metaloop/{__version__} (scout)", "Accept-Encoding": "gzip"}
    if question.key:
        headers["Authorization"] = f"Bearer {question.key}"
    if question.kept is not None and question.kept.etag:
        headers["If-None-Match"] = question.kept.etag
    if question.kept is not None and question.kept.modified:
        headers["If-Modified-Since"] = question.kept.modified
    return headers


def _body(response: requests.Response, timeout_s: float, clock: WallClock) -> bytes:
    """The whole body, unpacked, within size and time. Read as it comes: ``iter_content`` would wait for a dribble to
    fill a whole chunk."""
    parts: list[bytes] = []
    size = 0
    while part := response.raw.read1(CHUNK, decode_content=True):
        size += len(part)
        if size > MOST_BYTES:
            raise SourceError(f"its reply is larger than {MOST_BYTES} bytes")
        if clock.now() > timeout_s:
            raise _Later(f"its reply took more than {timeout_s:g} s")
        parts.append(part)
    return b"".join(parts)


def _remaining(response: requests.Response) -> int | None:
    """Requests left in GitHub's window; ``None`` where the server counts none."""
    left = response.headers.get("X-RateLimit-Remaining", "")
    return int(left) if left.isdecimal() and left.isascii() and len(left) < 10 else None


def _pause(response: requests.Response, now: float) -> float | None:
    """Seconds that the server asks to be left alone: ``Retry-After`` in seconds or as a date (RFC 9110, 10.2.3), else
    until ``X-RateLimit-Reset`` where nothing remains
    (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api)."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isdecimal() and asked.isascii() and len(asked) < 10:
        return float(asked)
    if asked:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - now)
        except (ValueError, OverflowError):
            return None
    reset = response.headers.get("X-RateLimit-Reset", "")
    if _remaining(response) == 0 and reset.isdecimal() and reset.isascii() and len(reset) < 15:
        return max(0.0, float(reset) - now)
    return None


def _told(error: Exception) -> str:
    """The error in a few words: addresses and headers are not repeated."""
    names = {"ReadTimeout": "no answer in time", "ConnectTimeout": "no connection in time"}
    return names.get(type(error).__name__, type(error).__name__)
