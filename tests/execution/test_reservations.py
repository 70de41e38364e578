"""How devices are asked for: all lanes at once, pinned to one kind, and refused in one line where that cannot be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from metaloop.execution.placement import Placement
from metaloop.execution.ray_reservation import Reservations
from metaloop.vocabulary.errors import BackendError

Resources = dict[str, float]
NODES: dict[str, Resources] = {
    "a": {"CPU": 8.0, "GPU": 4.0, "accelerator_type:A100": 1.0},
    "b": {"CPU": 8.0, "GPU": 2.0, "accelerator_type:H100": 1.0},
    "c": {"CPU": 4.0},
}


class TooLateError(Exception):
    """Nothing came free."""


class Cluster:
    """Ray, as far as reservations ask it: placement groups are ready as long as ``room`` lasts."""

    def __init__(self, nodes: dict[str, Resources], room: int = 10) -> None:
        self._nodes = nodes
        self._room = room
        self.asked: list[list[Resources]] = []
        self.removed: list[Any] = []
        self.exceptions = SimpleNamespace(GetTimeoutError=TooLateError)
        self.util = SimpleNamespace(placement_group=self._ask, remove_placement_group=self.removed.append)
        self._private = SimpleNamespace(state=SimpleNamespace(available_resources_per_node=lambda: self._nodes))

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": name, "Alive": True, "Resources": r} for name, r in self._nodes.items()]

    def cluster_resources(self) -> Resources:
        total: Resources = {}
        for resources in self._nodes.values():
            for name, amount in resources.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    available_resources = cluster_resources

    def get(self, index: int, timeout: float) -> None:
        if index >= self._room:
            raise TooLateError

    def _ask(self, bundles: list[Resources], strategy: str) -> Any:
        index = len(self.asked)
        self.asked.append(bundles)
        return SimpleNamespace(ready=lambda: index)


def test_all_lanes_are_asked_for_before_the_first_one_is_waited_for() -> None:
    cluster = Cluster(NODES, room=1)
    reservations = Reservations(cluster, 2, 1, Placement(lanes=3, wait_s=600.0))
    assert reservations.gpu
    assert cluster.asked == []
    reservations.take()
    assert cluster.asked == [[{"GPU": 1.0, "CPU": 1.0}] * 2] * 3
    with pytest.raises(BackendError, match="asked for 3 lanes of 2 devices, but 6 of the cluster's 6"):
        reservations.take()
    assert len(cluster.removed) == 1


@pytest.mark.parametrize(
    ("devices", "placement", "reason"),
    [
        (7, Placement(), r"asked for 7 devices, but there are 6 \(GPU\)\. Ask for at most 6"),
        (2, Placement(lanes=4), r"asked for 4 lanes of 2 devices, but there are 6 \(GPU\)"),
        (3, Placement(accelerator="H100"), r"asked for 3 devices, but there are 2 \(GPU on nodes with H100\)"),
        (1, Placement(accelerator="H1OO"), r"'H1OO' \(did you mean 'H100'\?\), expected one of: A100, H100"),
    ],
)
def test_what_the_cluster_cannot_have_is_told_at_once(devices: int, placement: Placement, reason: str) -> None:
    cluster = Cluster(NODES)
    with pytest.raises(BackendError, match=reason):
        Reservations(cluster, devices, 1, placement).take()
    assert cluster.asked == []


def test_an_accelerator_that_no_node_has_can_be_waited_for() -> None:
    cluster = Cluster({"c": {"CPU": 4.0}})
    with pytest.raises(BackendError, match="expected one of: none is known"):
        Reservations(cluster, 1, 1, Placement(accelerator="H100")).take()
    reservations = Reservations(cluster, 1, 1, Placement(accelerator="H100", wait_s=60.0))
    reservations.take()
    assert cluster.asked == [[{"GPU": 1.0, "CPU": 1.0, "accelerator_type:H100": 0.001}]]


def test_an_accelerator_may_be_a_name_for_nodes_without_gpu() -> None:
    cluster = Cluster({**NODES, "d": {"CPU": 2.0, "accelerator_type:SLOW": 1.0}})
    reservations = Reservations(cluster, 2, 1, Placement(accelerator="SLOW"))
    assert not reservations.gpu
    reservations.take()
    assert cluster.asked == [[{"CPU": 1.0, "accelerator_type:SLOW": 0.001}] * 2]
