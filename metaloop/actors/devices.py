"""Which device gets work next, and which messages about devices are old news."""

from __future__ import annotations

import heapq

from metaloop.actors.messages import DeviceLeaving, DeviceLost, DeviceReady
from metaloop.actors.state import OrgState


class Devices:
    """Devices that are idle and alive, in the order in which they were reserved.

    Whether a device's process is down, or its node will go, is not journaled: a run that is taken up again starts new
    processes.
    """

    def __init__(self, state: OrgState) -> None:
        self._state = state
        self._down: set[str] = set()
        self._lives: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._offered: set[str] = set()

    def offer(self, device: str) -> None:
        """The device may be able to take work."""
        if device not in self._offered:
            self._offered.add(device)
            heapq.heappush(self._heap, (self._state.ranks[device], device))

    def offer_idle(self) -> None:
        """Offer everything that trains nothing: at a start, when all ranks are new."""
        self._heap.clear()
        self._offered.clear()
        for device in self._state.idle:
            self.offer(device)

    def next_free(self) -> str | None:
        """The first device that can take work; it stays on offer until it trains."""
        while self._heap:
            device = self._heap[0][1]
            if device in self._state.idle and device not in self._down:
                return device
            heapq.heappop(self._heap)
            self._offered.discard(device)
        return None

    def free(self) -> int:
        """How many devices could take work."""
        return len(self._state.idle) - sum(device in self._state.idle for device in self._down)

    def leaving(self, message: DeviceLeaving, _now: float) -> None:
        """The device takes no more work; one that trains goes on."""
        self._down.add(message.device)

    def lost(self, message: DeviceLost) -> bool:
        """Take in that the device's process died; whether that was news."""
        device, life = message.device, message.life
        if device not in self._state.ranks or (life is not None and life < self._lives.get(device, 0)):
            return False
        self._lives[device] = life if life is not None else self._lives.get(device, 0)
        self._down.add(device)
        return True

    def ready(self, message: DeviceReady) -> bool:
        """Take in that the device's process is back; whether that was news."""
        device, life = message.device, message.life
        if device not in self._state.ranks or (life is not None and life <= self._lives.get(device, 0)):
            return False
        self._lives[device] = life if life is not None else self._lives.get(device, 0)
        self._down.discard(device)
        if device in self._state.idle:
            self.offer(device)
        return True
