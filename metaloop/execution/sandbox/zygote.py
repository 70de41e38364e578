"""The process that guests are forked from: `python -m metaloop.execution.sandbox.zygote FD`.

Importing PyTorch takes seconds, forking a process that has it takes milliseconds. The zygote imports what trainings
need, the target's protected modules among them, and nothing else: no data, no changed code, no secret (its environment
is empty), one thread, no backward pass. It forks guests on order, reports how they ended, and dies with the harness:
the end of its control socket ends it, and its guests with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import sysconfig
import tempfile
import traceback

import msgspec

from metaloop.execution.sandbox import walls
from metaloop.execution.sandbox.records import ORDER_BYTES, Ended, Limits, Order, Wall

PRELOADED = (
    "abc", "array", "bisect", "cmath", "collections", "collections.abc", "contextlib", "copy", "dataclasses", "decimal",
    "enum", "fractions", "functools", "gc", "hashlib", "heapq", "inspect", "itertools", "json", "logging", "math",
    "numbers", "operator", "os", "pickle", "random", "re", "statistics", "string", "struct", "subprocess", "sys",
    "tempfile", "textwrap", "threading", "time", "traceback", "types", "typing", "typing_extensions", "warnings",
    "weakref", "ctypes", "socket", "pathlib", "shutil", "queue", "signal", "multiprocessing", "linecache", "mmap",
    "multiprocessing.popen_fork", "multiprocessing.pool", "concurrent.futures.thread", "concurrent.futures.process",
    "encodings.idna", "urllib.request", "http.client",
    "numpy", "numpy.ctypeslib", "numpy.random", "numpy.lib.stride_tricks", "safetensors.torch", "torch",
    "torch.nn.functional", "torch.nn.utils", "torch.nn.init", "torch.nn.attention", "torch.nn.utils.parametrizations",
    "torch.optim",
    "torch.optim.lr_scheduler", "torch.optim.swa_utils", "torch.utils.checkpoint", "torch.func", "torch.fft",
    "torch.linalg", "torch.special", "torch.distributions",
)  # fmt: skip
"""What changed code may import: a guest has no files to import anything else from."""
TERMINATED = 128


def preload() -> None:
    """Import everything a guest may need, and touch what PyTorch sets up at its first use."""
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    importlib.import_module("metaloop.execution.sandbox.guest").prepare()
    sysconfig.get_paths()  # reads its configuration at the first call
    tempfile.gettempdir()  # looks for a folder by writing to it, and remembers it
    gc.collect()
    gc.freeze()  # so that collections in guests do not write to, and thereby copy, every page


class Zygote:
    """Forks guests on order of the control socket, and tells when they are gone."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._guests: dict[int, int] = {}  # pid of the guest's keeper to the guest's number

    def serve(self) -> None:
        """Until the control socket ends. Then no guest is left."""
        woken, waker = os.pipe()
        os.set_blocking(waker, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            ready, _, _ = select.select([self._control.fileno(), woken], [], [])
            if woken in ready:
                os.read(woken, 4096)
                self._reap()
            if self._control.fileno() in ready and not self._order():
                break
        for pid in self._guests:
            os.kill(pid, signal.SIGTERM)
        while self._guests:
            pid, _ = os.wait()
            self._guests.pop(pid, None)

    def _order(self) -> bool:
        text, descriptors, _, _ = socket.recv_fds(self._control, ORDER_BYTES, 4, socket.MSG_WAITALL)
        if len(text) < ORDER_BYTES:
            return False
        order = msgspec.json.decode(text.rstrip(b"\0"), type=Order)
        if order.do == "kill":
            for pid, number in self._guests.items():
                if number == order.number:
                    os.kill(pid, signal.SIGTERM)
            return True
        pid = os.fork()
        if pid == 0:
            self._control.close()
            signal.set_wakeup_fd(-1)
            keep(order.limits, descriptors)
        self._guests[pid] = order.number
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _reap(self) -> None:
        while self._guests:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            gone = -code if code < 0 else code - TERMINATED if code > TERMINATED else 0
            ended = Ended(
                self._guests.pop(pid), 0 if gone else code, gone, usage.ru_utime + usage.ru_stime,
                usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            )  # fmt: skip
            self._control.sendall(msgspec.json.encode(ended).ljust(ORDER_BYTES, b"\0"))


def keep(limits: Limits, descriptors: list[int]) -> None:
    """The guest's keeper, forked from the zygote: enters namespaces, forks the guest, which is the first process of
    its own, and waits for it. Exits with the guest's code, or 128 and its signal. Never returns.

    The keeper runs no changed code. The guest dies with it, and it with the zygote.
    """
    code = 1
    try:
        walls.die_with_parent()
        wall: Wall = "namespaces" if limits.walls == "namespaces" and walls.enter_namespaces() else "rlimits"
        # Waited for, not handled: a handler could miss the moment between its check and the wait.
        awaited = {signal.SIGTERM, signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
        child = os.fork()
        if child == 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)
            run_guest(limits, wall, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        gone = 0
        while not gone:
            if signal.sigwait(awaited) == signal.SIGTERM:
                os.kill(child, signal.SIGKILL)
            gone, status = os.waitpid(child, os.WNOHANG)
        ended = os.waitstatus_to_exitcode(status)
        code = ended if ended >= 0 else TERMINATED - ended
    finally:
        os._exit(code)


def run_guest(limits: Limits, wall: Wall, descriptors: list[int]) -> None:
    """Build the walls around this process and be the guest. Never returns."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        channel, output, *shard = descriptors
        # 0: nothing to read; 1, 2: the output pipe; 3: the channel; 4: the shard. All else of the harness is closed.
        silence = os.open(os.devnull, os.O_RDONLY)
        wanted = [os.dup(fd) for fd in (silence, output, output, channel, *shard)]
        high = [os.dup2(fd, 512 + place, inheritable=False) for place, fd in enumerate(wanted)]
        for place, fd in enumerate(high):
            os.dup2(fd, place, inheritable=False)
        os.closerange(len(high), 1024)
        importlib.import_module("metaloop.execution.sandbox.guest").enter(limits, wall, bool(shard))
        code = 0
    except BaseException:
        traceback.print_exc()  # into the output, which the harness keeps of a training and drops of a serving guest
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Preload, say that the zygote is ready, and serve."""
    control = socket.socket(fileno=int(sys.argv[1]))
    preload()
    control.sendall(b"ready".ljust(ORDER_BYTES, b"\0"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's Ctrl-C is the harness's to handle
    Zygote(control).serve()


if __name__ == "__main__":
    main()
