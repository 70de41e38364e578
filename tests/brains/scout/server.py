"""A real HTTP server that speaks as much of arXiv's and GitHub's APIs as is asked, and misbehaves as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from tests import misbehaving
from tests.misbehaving import Act, dribbles, fails, half, hangs, named, served

__all__ = [
    "Act", "Desk", "Handler", "dribbles", "echoes_key", "fails", "half", "hangs", "not_modified_if", "raw", "search",
    "serving",
]  # fmt: skip


@dataclass
class Desk(misbehaving.Desk):
    """The acts to come, and the requests so far: path with query, and headers."""

    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


class Handler(misbehaving.Handler[Desk]):
    opening = b"<feed>"
    refusal = b"no"

    def do_GET(self) -> None:
        self.desk.paths.append(self.path)
        self.desk.headers.append(dict(self.headers))
        self.desk.next()(self)


def raw(body: bytes, **headers: str) -> Act:
    """Status 200 and these bytes, with headers such as ``ETag``; ``_`` stands for ``-``."""
    return lambda handler: handler.send(200, body, named(headers))


def atom(*entries: tuple[str, str, str]) -> bytes:
    """An arXiv reply with (title, summary, number) entries, in the form of its manual."""
    inside = "".join(
        f"<entry><id>http://arxiv.org/abs/{number}v1</id><title>{escape(title)}</title>"
        f"<summary>{escape(text)}</summary>"
        f'<link href="http://arxiv.org/abs/{number}v1" rel="alternate" type="text/html"/>'
        f'<link title="pdf" href="http://arxiv.org/pdf/{number}v1" rel="related"/></entry>'
        for title, text, number in entries
    )
    return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>q</title>{inside}</feed>'.encode()


def search(*items: dict[str, Any]) -> bytes:
    """A GitHub search result."""
    return json.dumps({"total_count": len(items), "incomplete_results": False, "items": list(items)}).encode()


def not_modified_if(etag: str, body: bytes) -> Act:
    """304 for who has this ETag, the body with it for everyone else."""

    def act(handler: Handler) -> None:
        if handler.headers.get("If-None-Match") == etag:
            handler.send(304, b"")
        else:
            handler.send(200, body, {"ETag": etag})

    return act


def echoes_key(handler: Handler) -> None:
    """Repeats the token that it was sent, as a title."""
    handler.send(200, search({"full_name": handler.headers["Authorization"], "html_url": "https://github.com/a/b"}))


@contextmanager
def serving(*acts: Act) -> Iterator[tuple[str, Desk]]:
    """The address of a server that does these acts, one for each request, and its desk."""
    desk = Desk(list(acts))
    with served(Handler, desk) as address:
        yield f"{address}/api", desk
