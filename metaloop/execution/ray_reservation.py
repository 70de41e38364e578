"""The devices of Ray backends: reserved in groups, one for each backend, for as long as it lives.

A group that waits for devices is what Ray's autoscaler sees as demand. It belongs to this process and goes with it,
however that ends, which ``ray.autoscaler.sdk.request_resources`` does not: such a request stands until somebody makes
another one, and there is one for the whole cluster.
"""

from __future__ import annotations

from typing import Any

from metaloop.execution.placement import KIND, Placement
from metaloop.vocabulary.errors import BackendError
from metaloop.vocabulary.text import nearest

RESERVE_S = 20.0
"""How long devices that are there may take to come free: Ray gives back those of an ended run within seconds."""


class Reservations:
    """Groups of ``devices`` devices each, of which ``together`` at a time are on one node, because they share their
    trainings. Those of all lanes are asked for when the first one is taken."""

    def __init__(self, ray: Any, devices: int, together: int, placement: Placement) -> None:
        self._ray = ray
        self._devices = devices
        self._together = together
        self._placement = placement
        self._asked: list[Any] | None = None
        usable = self._usable(free=False)
        # A kind of accelerator that the cluster has yet to add is a GPU's.
        self.gpu = bool(usable.get("GPU")) or (bool(placement.accelerator) and not usable)

    def take(self) -> Any:
        """The next group, once its devices are there; for :meth:`give_back`.

        Raises:
            BackendError: there are not as many, not of the kind, or others hold them.
        """
        if self._asked is None:
            self._check()
            self._asked = [self._ask() for _ in range(self._placement.lanes)]
        group = self._asked.pop(0) if self._asked else self._ask()
        try:
            self._ray.get(group.ready(), timeout=RESERVE_S + self._placement.wait_s)
        except self._ray.exceptions.GetTimeoutError:
            free, known = (self._placement.most_devices(self._usable(free=f)) for f in (True, False))
            together = f" Those that share a training must be {self._together} on one node." * (self._together > 1)
            self.give_back(group)
            raise BackendError(
                f"asked for {self._wanted}, but {free} of the cluster's {known} ({self._what}) are free, each on a "
                f"node with a free CPU.{together} Ask for fewer, or wait longer with --wait-minutes."
            ) from None
        return group

    def give_back(self, group: Any) -> None:
        self._ray.util.remove_placement_group(group)

    def _ask(self) -> Any:
        bundle = self._placement.of_group(self.gpu, self._together)
        return self._ray.util.placement_group([bundle] * (self._devices // self._together), strategy="PACK")

    def _check(self) -> None:
        """Whether the cluster as it is could have them, where it is not waited for.

        Raises:
            BackendError
        """
        if self._placement.wait_s:
            return
        kinds, kind = self._kinds(), self._placement.accelerator
        if kind and kind not in kinds:
            raise BackendError(
                f"no node of this cluster has the accelerator {kind!r}{nearest(kind, kinds)}, expected one of: "
                f"{', '.join(kinds) or 'none is known'} (Ray's resources {KIND}NAME). Name one that it has with "
                "--accelerator, or let a cluster that grows add nodes with --wait-minutes."
            )
        known = self._placement.most_devices(self._usable(free=False))
        if self._devices * self._placement.lanes > known:
            raise BackendError(
                f"asked for {self._wanted}, but there are {known} ({self._what}). Ask for at most {known}, or let a "
                "cluster that grows add nodes with --wait-minutes."
            )

    @property
    def _wanted(self) -> str:
        lanes = self._placement.lanes
        return f"{lanes} lanes of {self._devices} devices" if lanes > 1 else f"{self._devices} devices"

    @property
    def _what(self) -> str:
        name = "GPU" if self.gpu else "CPU"
        return f"{name} on nodes with {self._placement.accelerator}" if self._placement.accelerator else name

    def _usable(self, free: bool) -> dict[str, float]:
        """Resources of all nodes that devices may be on; with ``free``, what is left of them."""
        if not self._placement.accelerator:
            found: dict[str, float] = self._ray.available_resources() if free else self._ray.cluster_resources()
            return found
        pin, total = KIND + self._placement.accelerator, dict[str, float]()
        nodes = {node["NodeID"]: node["Resources"] for node in self._ray.nodes() if node["Alive"]}
        left = self._ray._private.state.available_resources_per_node() if free else nodes
        for node in (name for name, resources in nodes.items() if pin in resources):
            for name, amount in left.get(node, {}).items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def _kinds(self) -> list[str]:
        """The accelerators that the cluster's nodes have."""
        return sorted(name.removeprefix(KIND) for name in self._ray.cluster_resources() if name.startswith(KIND))
