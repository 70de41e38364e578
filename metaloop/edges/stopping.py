"""SIGTERM, as notice that this process will be stopped: clusters and spot machines send it before they kill."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from metaloop.execution.notice import Notice

EXIT_CODE = 128 + signal.SIGTERM
"""What shells report of a process that SIGTERM has ended."""


@contextmanager
def heeding(notice: Notice) -> Iterator[None]:
    """Pass the first SIGTERM on as ``notice``; the next one ends the process at once.

    To be entered once Ray is up, which sets a handler of its own: that one would take the trainers away in
    mid-training. Threads other than the main one are never sent signals, and leave things as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give(_number: int, _frame: FrameType | None) -> None:
        if notice.given:
            os._exit(EXIT_CODE)
        notice.give()

    before = signal.signal(signal.SIGTERM, give)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
