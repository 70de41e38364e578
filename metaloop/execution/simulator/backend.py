"""The Simulator as a backend: hosts org runs in virtual time, and trains for confirmation in none at all."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from metaloop.execution.backend import Hosting
from metaloop.execution.simulator.cluster import Cluster
from metaloop.execution.simulator.simulation import Simulation
from metaloop.execution.trainer import SimulatedTrainer
from metaloop.vocabulary.errors import BackendError
from metaloop.vocabulary.records import TrainingRequest, TrainingResult

MOST_DEVICES = 10_000


@contextmanager
def _collector_resting() -> Iterator[None]:
    """No cyclic garbage collection meanwhile: an org run's history is all alive, and looking through it again and
    again takes a sixth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Simulator:
    """``devices`` simulated devices of a described cluster, on which a simulated trainer trains."""

    name = "sim"

    def __init__(self, trainer: SimulatedTrainer, devices: int, cluster: Cluster) -> None:
        if not 1 <= devices <= MOST_DEVICES:
            raise BackendError(f"asked for {devices} simulated devices. Ask for 1 to {MOST_DEVICES}.")
        self._trainer = trainer
        self._cluster = cluster
        width = len(str(devices - 1))
        self.devices = tuple(f"sim-{place:0{width}}" for place in range(devices))

    def host(self, hosting: Hosting) -> None:
        """Run until the controller has ended."""
        with _collector_resting():
            Simulation(hosting, self._trainer, self.devices, self._cluster).run()

    def train_all(
        self,
        requests: Sequence[TrainingRequest],
        on_result: Callable[[int, TrainingResult], None],
        without: frozenset[str] = frozenset(),
    ) -> None:
        """The harness's own trainings: on a machine like the recorded one, where nothing goes wrong."""
        del without  # all are alike
        for index, request in enumerate(requests):
            on_result(index, self._trainer.train(request))

    def close(self) -> None:
        """Nothing is held."""
