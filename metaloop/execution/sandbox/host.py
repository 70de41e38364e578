"""The harness's side of the zygote: starts it, orders guests and their end, and gets the account of each."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from metaloop.execution.sandbox.records import MESSAGE_CHARS, ORDER_BYTES, Ended, Limits, Order
from metaloop.vocabulary.errors import TrainerError

START_S = 120.0
"""Seconds for the zygote to import PyTorch on a busy machine."""
DYING_S = 10.0
"""Seconds for a killed guest to be gone."""


class Caught(Exception):
    """A guest did what it may not, or was ended by a wall: ``state`` and the named reason.

    ``own``: the harness's own words throughout. Others a guest had a hand in, and one that has read scored text could
    pass it on in them.
    """

    def __init__(self, reason: str, state: str = "cheat", own: bool = False) -> None:
        super().__init__(reason)
        line = "".join(char if char.isprintable() else " " for char in reason[:MESSAGE_CHARS])
        self.reason, self.state, self.own = line, state, own


class ZygoteDied(Exception):
    """The zygote is gone: nothing that the guest did."""


class Zygote:
    """The process that guests are forked from. Started by the first guest; started again if it dies."""

    def __init__(self, gpu: bool) -> None:
        self._gpu = gpu
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._numbers = 0
        self._accounts: dict[int, Ended] = {}  # of guests that nobody has asked about yet

    @property
    def pid(self) -> int | None:
        """Its process id, if it was started."""
        return self._process.pid if self._process else None

    def fork(self, limits: Limits, descriptors: Sequence[int]) -> int:
        """A new guest that holds ``descriptors``; returns its number. Raises ZygoteDied."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._numbers += 1
        self._send(Order("fork", self._numbers, limits), descriptors)
        return self._numbers

    def kill(self, number: int) -> None:
        """End a guest with all that it started; what it used is still accounted for."""
        self._send(Order("kill", number, Limits()), ())

    def fileno(self) -> int:
        return self._socket().fileno()

    def ended(self, number: int, wait: bool) -> Ended | None:
        """The account of guest ``number``, if it has come. ``wait``: for one more account, of whichever guest.

        Raises ZygoteDied.
        """
        if wait and number not in self._accounts:
            report = msgspec.json.decode(self._receive().rstrip(b"\0"), type=Ended)
            self._accounts[report.number] = report
        return self._accounts.pop(number, None)

    def close(self) -> None:
        """End it, with every guest."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.wait(timeout=DYING_S)
        self._process = self._control = None

    def _start(self) -> None:
        self.close()
        ours, theirs = socket.socketpair()
        root = Path(__file__).resolve().parents[3]
        command = [sys.executable, "-m", "metaloop.execution.sandbox.zygote", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command, env=clean_environment(root, self._gpu), pass_fds=[theirs.fileno()], cwd="/",
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self._control = ours
        ours.settimeout(START_S)
        try:
            self._receive()
        except ZygoteDied:
            raise TrainerError("the sandbox's zygote does not start: see its last lines above.") from None
        ours.settimeout(None)

    def _socket(self) -> socket.socket:
        if self._control is None:
            raise ZygoteDied
        return self._control

    def _send(self, order: Order, descriptors: Sequence[int]) -> None:
        text = msgspec.json.encode(order).ljust(ORDER_BYTES, b"\0")
        try:
            socket.send_fds(self._socket(), [text], list(descriptors))
        except OSError:
            raise ZygoteDied from None

    def _receive(self) -> bytes:
        try:
            text = self._socket().recv(ORDER_BYTES, socket.MSG_WAITALL)
        except OSError:
            raise ZygoteDied from None
        if len(text) < ORDER_BYTES:
            raise ZygoteDied
        return text


def clean_environment(root: Path, gpu: bool) -> dict[str, str]:
    """The zygote's environment: nothing of the harness's own but where Python finds its modules."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if gpu and name in os.environ}
    paths = [str(root), *(path for path in sys.path if path and Path(path).is_dir())]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    # A guest can start no compiler, so that a compiled step is an eager one there.
    return kept | threads | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1",
                             "PYTHONHASHSEED": "0", "TORCHDYNAMO_DISABLE": "1", "LANG": "C.UTF-8"}  # fmt: skip
