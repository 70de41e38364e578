"""A real HTTP server that speaks as much of the chat API as is asked of it, and misbehaves as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests import misbehaving
from tests.misbehaving import Act, dribbles, fails, half, hangs, served

__all__ = ["Act", "Desk", "Handler", "dribbles", "fails", "half", "hangs", "raw", "says", "serving"]


@dataclass
class Desk(misbehaving.Desk):
    """The acts to come, and the requests so far, with the keys that they brought."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class Handler(misbehaving.Handler[Desk]):
    always = {"Content-Type": "application/json"}  # noqa: RUF012
    opening = b'{"choices": ['
    refusal = b'{"error": {"message": "no"}}'

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.desk.requests.append(json.loads(body))
        self.desk.keys.append(self.headers.get("Authorization", ""))
        self.desk.next()(self)


def says(text: Any, prompt_tokens: int = 100, reply_tokens: int = 20) -> Act:
    """A proper completion; what is no text is sent as JSON."""
    content = text if isinstance(text, str) else json.dumps(text)
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": reply_tokens}
    body = {"choices": [{"message": {"role": "assistant", "content": content}}], "usage": usage}
    return lambda handler: handler.send(200, json.dumps(body).encode())


def raw(body: bytes) -> Act:
    """Status 200 and these bytes."""
    return lambda handler: handler.send(200, body)


@contextmanager
def serving(*acts: Act) -> Iterator[tuple[str, Desk]]:
    """The base URL of a server that does these acts, one for each request, and its desk."""
    desk = Desk(list(acts))
    with served(Handler, desk) as address:
        yield f"{address}/v1", desk
