"""Whether a cluster asks for a token, found out from something that speaks its protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from metaloop.execution.ray_connection import asks_for_token

Behaviour = Callable[[bytes, grpc.ServicerContext], bytes]


@contextmanager
def head(behaviour: Behaviour) -> Iterator[str]:
    """A server that answers the one question; where it listens."""
    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {"CheckAlive": grpc.unary_unary_rpc_method_handler(behaviour)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("ray.rpc.NodeInfoGcsService", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None)


def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken: Authentication token is missing or incorrect")
    return b""


def test_a_head_that_refuses_who_has_no_token_asks_for_one() -> None:
    with head(refuse) as address:
        assert asks_for_token(address)


def test_a_head_that_answers_anyone_does_not() -> None:
    with head(lambda _request, _context: b"") as address:
        assert not asks_for_token(address)


def test_where_nobody_says_it_is_taken_to() -> None:
    assert asks_for_token("ray://127.0.0.1:10001")
    assert asks_for_token("127.0.0.1:1")
