"""Time enters metaloop here and nowhere else."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the start of an org run. The Ray backend's clock is the wall; the simulator's is virtual."""

    def now(self) -> float:
        """Seconds since the clock's origin; never decreases."""
        ...


class WallClock:
    """Monotonic wall time, counted from ``offset`` seconds (a resumed run goes on where the last one stopped)."""

    def __init__(self, offset: float = 0.0) -> None:
        self._origin = time.monotonic() - offset

    def now(self) -> float:
        return time.monotonic() - self._origin

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        time.sleep(seconds)


class MachineClock:
    """Seconds since a moment that all processes of a machine share (CLOCK_MONOTONIC): what they agree by."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        time.sleep(seconds)


class EpochClock:
    """Seconds since 1970: for what outlives a process, such as how old a cached reply is."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        time.sleep(seconds)
