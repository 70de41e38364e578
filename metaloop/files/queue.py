"""The research queue: a pure state machine over experiments that wait for a device.

Highest priority first, then first come, first served; an experiment that lost its device comes back to its old
place. It knows nothing of devices, time or money.
"""

from __future__ import annotations

import heapq

from metaloop.vocabulary.records import Experiment


class ResearchQueue:
    """Experiments waiting, in the order they will be trained."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._order: dict[str, int] = {}
        self._waiting: dict[str, Experiment] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, experiment_id: str) -> bool:
        return experiment_id in self._waiting

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResearchQueue) and self.snapshot() == other.snapshot()

    __hash__ = None  # type: ignore[assignment]

    def push(self, experiment: Experiment) -> None:
        """Add an experiment, or bring one back.

        Raises:
            ValueError: it is already waiting.
        """
        if experiment.id in self._waiting:
            raise ValueError(f"experiment {experiment.id} is already in the queue")
        order = self._order.setdefault(experiment.id, len(self._order))
        self._waiting[experiment.id] = experiment
        heapq.heappush(self._heap, (-experiment.priority, order, experiment.id))

    def peek(self) -> Experiment | None:
        """The next experiment, or ``None``."""
        while self._heap and self._heap[0][2] not in self._waiting:
            heapq.heappop(self._heap)
        return self._waiting[self._heap[0][2]] if self._heap else None

    def take(self, experiment_id: str) -> Experiment:
        """Remove and return an experiment.

        Raises:
            KeyError: it is not waiting.
        """
        return self._waiting.pop(experiment_id)

    def snapshot(self) -> tuple[Experiment, ...]:
        """All waiting experiments in the order they will be taken."""
        return tuple(sorted(self._waiting.values(), key=lambda e: (-e.priority, self._order[e.id])))
