"""A real HTTP server that speaks as much of the chat API as is asked of it, and misbehaves as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Act = Callable[["Handler"], None]
"""What is done with one request."""


@dataclass
class Desk:
    """The acts to come, the last of which is repeated, and the requests so far."""

    acts: list[Act]
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    """Set at the end: whoever hangs is let go."""

    def next(self) -> Act:
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]


class Handler(BaseHTTPRequestHandler):
    desk: Desk

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.desk.requests.append(json.loads(body))
        self.desk.keys.append(self.headers.get("Authorization", ""))
        self.desk.next()(self)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


def says(text: Any, prompt_tokens: int = 100, reply_tokens: int = 20) -> Act:
    """A proper completion; what is no text is sent as JSON."""
    content = text if isinstance(text, str) else json.dumps(text)
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": reply_tokens}
    body = {"choices": [{"message": {"role": "assistant", "content": content}}], "usage": usage}
    return lambda handler: handler.send(200, json.dumps(body).encode())


def raw(body: bytes) -> Act:
    """Status 200 and these bytes."""
    return lambda handler: handler.send(200, body)


def fails(status: int, **headers: str) -> Act:
    """An error, with headers such as ``Retry_After``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(status, b'{"error": {"message": "no"}}', named)


def half(handler: Handler) -> None:
    """Promises a thousand bytes, sends a few and hangs up."""
    handler.send(200, b'{"choices": [', length=1000)
    handler.close_connection = True


def hangs(handler: Handler) -> None:
    """Never answers."""
    handler.desk.release.wait(30)


def dribbles(handler: Handler) -> None:
    """A byte now and then, so that no single read takes long."""
    handler.send(200, b"{", length=100_000)
    while not handler.desk.release.wait(0.05):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return


@contextmanager
def serving(*acts: Act) -> Iterator[tuple[str, Desk]]:
    """The base URL of a server that does these acts, one for each request, and its desk."""
    desk = Desk(list(acts))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"desk": desk}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", desk
    finally:
        desk.release.set()
        server.shutdown()
        server.server_close()
