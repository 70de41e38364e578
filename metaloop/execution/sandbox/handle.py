"""The harness's handle on one guest: messages both ways, its output, a deadline, and the account of what it used."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from metaloop.execution.sandbox import frames
from metaloop.execution.sandbox.host import Caught, Zygote, ZygoteDied
from metaloop.execution.sandbox.records import MIB, Ended, Hello, Limits
from metaloop.vocabulary.clock import WallClock

MOST_OUTPUT = 4 * MIB
"""Bytes that a guest may print; beyond it is a flood."""
KEPT_OUTPUT = 64 * 1024
HELLO_LIMITS = {frames.HELLO: 1024}


class Guest:
    """One sandboxed process: talk with it, then :meth:`finish`. A context manager that leaves nothing behind.

    Every wait ends at ``deadline_s`` of wall time after the fork, in a :class:`Caught` of state ``timeout``.
    """

    def __init__(self, zygote: Zygote, limits: Limits, deadline_s: float, shard: int | None = None) -> None:
        self._zygote, self._deadline_s, self._limits = zygote, deadline_s, limits
        self._clock = WallClock()
        ours, theirs = socket.socketpair()
        self._output, output = os.pipe()
        self._channel = ours
        try:
            self.number = zygote.fork(limits, [theirs.fileno(), output, *([] if shard is None else [shard])])
        except BaseException:
            ours.close()
            os.close(self._output)
            raise
        finally:
            theirs.close()
            os.close(output)
        self._channel.setblocking(False)
        os.set_blocking(self._output, False)
        self._printed, self.log = 0, b""
        self._closed = False
        self.account: Ended | None = None
        self.wall_s = 0.0

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ZygoteDied):
            self.end()
        self._channel.close()
        os.close(self._output)

    def hello(self) -> Hello:
        """Which walls stand around it."""
        return msgspec.json.decode(self.receive(HELLO_LIMITS)[1], type=Hello)

    def send(self, kind: bytes, body: bytes | memoryview) -> None:
        """One message to the guest."""
        for part in frames.pack(kind, body):
            rest = memoryview(part).cast("B")
            while rest:
                self._wait(writing=True)
                try:
                    rest = rest[self._channel.send(rest[: frames.PIECE]) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self._gone()

    def receive(self, limits: Mapping[bytes, int]) -> tuple[bytes, bytes]:
        """The next message from the guest, of a kind and length that ``limits`` allow.

        Raises:
            Caught: it tripped, ended, took too long, or sent something else.
            ZygoteDied: nothing that the guest did.
        """
        try:
            kind, length = frames.parse_header(bytes(self._read(frames.HEADER)), {**limits, frames.TRIP: 4096})
        except frames.FrameError as error:
            raise Caught(f"frames: {error}") from None
        body = self._read(length)
        if kind == frames.TRIP:
            raise Caught(body.decode(errors="replace"))
        return kind, bytes(body)

    def finish(self) -> Ended:
        """Wait until it is gone of its own accord; returns the kernel's account of it. Raises as :meth:`receive`."""
        self._account(wait=False)
        while self.account is None:
            self._wait(only_end=True)
        return self.account

    def end(self) -> Ended:
        """Kill it if it is not gone; returns its account. Raises ZygoteDied."""
        if self.account is None:
            self._zygote.kill(self.number)
            while self.account is None:
                self._account(wait=True)
        return self.account

    def _read(self, size: int) -> bytearray:
        buffer = bytearray()
        while len(buffer) < size:
            self._wait()
            try:
                part = self._channel.recv(min(size - len(buffer), frames.PIECE))
            except BlockingIOError:
                continue
            except OSError:
                part = b""
            if not part:
                self._gone()
            buffer += part
        return buffer

    def _wait(self, writing: bool = False, only_end: bool = False) -> None:
        """Until the channel can be used, or the guest is gone; its output is drained meanwhile."""
        while True:
            left = self._deadline_s - self._clock.now()
            if left <= 0:
                raise Caught(f"budget: over {self._deadline_s:.3g} s of wall time", "timeout", own=True)
            output, channel = self._output, self._channel.fileno()
            reading = [] if self._closed else [output]
            reading += [self._zygote.fileno()] if only_end else [] if writing else [channel]
            readable, writable, _ = select.select(reading, [channel] if writing else [], [], left)
            if output in readable:
                self._drain()
            if channel in readable or writable:
                return
            if only_end and self._zygote.fileno() in readable:
                self._account(wait=True)
                return

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            part = os.read(self._output, frames.PIECE)
            self._closed = not part  # all writers are gone
            self._printed += len(part)
            self.log = (self.log + part)[-KEPT_OUTPUT:]
        if self._printed > MOST_OUTPUT:
            raise Caught(f"flood: printed more than {MOST_OUTPUT // MIB} MiB", own=True)

    def _account(self, wait: bool) -> None:
        report = self._zygote.ended(self.number, wait)
        if report is not None:
            self.account, self.wall_s = report, self._clock.now()
            while self._printed <= MOST_OUTPUT and select.select([self._output], [], [], 0)[0] and not self._closed:
                self._drain()

    def _gone(self) -> NoReturn:
        """The channel is closed: wait for the guest's end, and say why."""
        raise _cause(self.finish(), self._limits)


def _cause(ended: Ended, limits: Limits) -> Caught:
    """Why a guest went before it was done."""
    if ended.signal == signal.SIGSYS:
        return Caught("wall: made a system call that no training needs (SIGSYS)", own=True)
    if ended.signal in (signal.SIGKILL, signal.SIGXCPU) and ended.cpu_s >= 0.9 * limits.cpu_s:
        return Caught(f"budget: over {limits.cpu_s} CPU seconds", "timeout", own=True)
    if ended.signal == signal.SIGKILL:
        return Caught("memory: killed, as by the kernel when memory runs out", "oom", own=True)
    if ended.signal:
        return Caught(f"died of signal {ended.signal}", "crash")
    return Caught(f"left with code {ended.code} before it was done", "crash")
