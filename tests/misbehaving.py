"""A real HTTP server that does one act after the other, and misbehaves as told: the ground of the test servers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, TypeVar

Act = Callable[[Any], None]
"""What is done with one request, by its handler."""


@dataclass
class Desk:
    """The acts to come, the last of which is repeated."""

    acts: list[Act]
    release: threading.Event = field(default_factory=threading.Event)
    """Set at the end: whoever hangs is let go."""

    def next(self) -> Act:
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]


D = TypeVar("D", bound=Desk)


class Handler(BaseHTTPRequestHandler, Generic[D]):
    desk: D
    always: dict[str, str] = {}  # noqa: RUF012
    """Headers of every answer."""
    opening = b""
    """How a proper answer begins."""
    refusal = b""
    """The body of an error."""

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**self.always, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


def named(headers: dict[str, str]) -> dict[str, str]:
    """Headers from keywords such as ``Retry_After``."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def fails(status: int, **headers: str) -> Act:
    """An error, with headers such as ``Retry_After``."""
    return lambda handler: handler.send(status, handler.refusal, named(headers))


def half(handler: Handler[Any]) -> None:
    """Promises a thousand bytes, sends a few and hangs up."""
    handler.send(200, handler.opening, length=1000)
    handler.close_connection = True


def hangs(handler: Handler[Any]) -> None:
    """Never answers."""
    handler.desk.release.wait(30)


def dribbles(handler: Handler[Any]) -> None:
    """A byte now and then, so that no single read takes long."""
    handler.send(200, handler.opening[:1], length=100_000)
    while not handler.desk.release.wait(0.05):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return


@contextmanager
def served(kind: type[Handler[D]], desk: D) -> Iterator[str]:
    """The address of a server that does the desk's acts, one for each request."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (kind,), {"desk": desk}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        desk.release.set()
        server.shutdown()
        server.server_close()
