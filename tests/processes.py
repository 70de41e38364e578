"""Processes of a run that tests (and ``bench/chaos.py``) end or stop, found by what Ray calls them."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable

import psutil

TRAINER, ROLE = "ray::TrainerProcess", "ray::RoleProcess"


def family(pid: int, title: str = "") -> list[psutil.Process]:
    """Living descendants of a process whose command line holds ``title``, oldest first."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if title in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process.create_time(), process.pid, process))
    return [process for _, _, process in sorted(found, key=lambda item: item[:2])]


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Signal a process, if it still is."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def kill_family(pid: int) -> None:
    """SIGKILL for a process and all its descendants."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [psutil.Process(pid), *family(pid)]:
            send(process, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition; fails with ``what`` was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
