"""A real HTTP server that speaks as much of arXiv's and GitHub's APIs as is asked, and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.sax.saxutils import escape

Act = Callable[["Handler"], None]
"""What is done with one request."""


@dataclass
class Desk:
    """The acts to come, the last of which is repeated, and the requests so far: path with query, and headers."""

    acts: list[Act]
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    """Set at the end: whoever hangs is let go."""

    def next(self) -> Act:
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]


class Handler(BaseHTTPRequestHandler):
    desk: Desk

    def do_GET(self) -> None:
        self.desk.paths.append(self.path)
        self.desk.headers.append(dict(self.headers))
        self.desk.next()(self)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


def raw(body: bytes, **headers: str) -> Act:
    """Status 200 and these bytes, with headers such as ``ETag``; ``_`` stands for ``-``."""
    return lambda handler: handler.send(200, body, {name.replace("_", "-"): v for name, v in headers.items()})


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


def fails(status: int, **headers: str) -> Act:
    """An error, with headers such as ``Retry_After``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(status, b"no", named)


def not_modified_if(etag: str, body: bytes) -> Act:
    """304 for who has this ETag, the body with it for everyone else."""

    def act(handler: Handler) -> None:
        if handler.headers.get("If-None-Match") == etag:
            handler.send(304, b"")
        else:
            handler.send(200, body, {"ETag": etag})

    return act


def half(handler: Handler) -> None:
    """Promises a thousand bytes, sends a few and hangs up."""
    handler.send(200, b"<feed>", length=1000)
    handler.close_connection = True


def hangs(handler: Handler) -> None:
    """Never answers."""
    handler.desk.release.wait(30)


def dribbles(handler: Handler) -> None:
    """A byte now and then, so that no single read takes long."""
    handler.send(200, b"<", length=100_000)
    while not handler.desk.release.wait(0.05):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return


def echoes_key(handler: Handler) -> None:
    """Repeats the token that it was sent, as a title."""
    handler.send(200, search({"full_name": handler.headers["Authorization"], "html_url": "https://github.com/a/b"}))


@contextmanager
def serving(*acts: Act) -> Iterator[tuple[str, Desk]]:
    """The address of a server that does these acts, one for each request, and its desk."""
    desk = Desk(list(acts))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"desk": desk}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api", desk
    finally:
        desk.release.set()
        server.shutdown()
        server.server_close()
