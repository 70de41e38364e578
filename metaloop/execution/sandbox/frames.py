"""Messages between harness and guest: one byte of kind, eight bytes of length (little-endian), the bytes themselves.

Nothing is ever unpickled. Whoever reads says how long a message of each kind may be; a longer one is refused before
it is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

HEADER: Final = 9
PIECE: Final = 1 << 20  # bytes asked of the kernel at a time
HELLO, JOB, DATA, WEIGHTS, TOKENS, LOGITS, RESULT, TRIP = (b"H", b"J", b"D", b"W", b"B", b"L", b"R", b"T")
"""Guest's walls; harness's order; its bytes; safetensors; token batch; logits; how it ended; a tripwire's reason."""


class FrameError(Exception):
    """What came is no message, or a longer one than its reader allows."""


def pack(kind: bytes, body: bytes | memoryview) -> tuple[bytes, bytes | memoryview]:
    """Header and body of one message."""
    return kind + len(body).to_bytes(8, "little"), body


def parse_header(header: bytes, limits: Mapping[bytes, int]) -> tuple[bytes, int]:
    """Kind and length that a header announces.

    Raises:
        FrameError: a kind that is not awaited, or more bytes than it may have.
    """
    kind, length = header[:1], int.from_bytes(header[1:], "little")
    if kind not in limits:
        raise FrameError(f"a message of kind {kind!r} where {b''.join(sorted(limits))!r} is awaited")
    if length > limits[kind]:
        raise FrameError(f"a message of {length} bytes where at most {limits[kind]} are allowed")
    return kind, length


def send(fd: int, kind: bytes, body: bytes | memoryview, write: Callable[[int, memoryview], int] = os.write) -> None:
    """Write one message, waiting as long as it takes. ``write`` as ``os.write``. Raises OSError."""
    for part in pack(kind, body):
        rest = memoryview(part).cast("B")
        while rest:
            rest = rest[write(fd, rest[:PIECE]) :]


def receive(fd: int, limits: Mapping[bytes, int]) -> tuple[bytes, bytes]:
    """Read one message, waiting as long as it takes.

    Raises:
        EOFError: the other side is gone.
        FrameError: as :func:`parse_header`.
    """
    kind, length = parse_header(_exactly(fd, HEADER), limits)
    return kind, _exactly(fd, length)


def _exactly(fd: int, size: int) -> bytes:
    parts, missing = [], size
    while missing:
        part = os.read(fd, min(missing, PIECE))
        if not part:
            raise EOFError("the other side is gone")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
