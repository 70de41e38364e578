"""A Ray cluster of several nodes on one machine, each node a raylet with one CPU of its own."""

from __future__ import annotations

import os
import secrets
from types import TracebackType
from typing import Any

TERMS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    # A node that gets no core for a while must not be taken for a dead one: these kills are ours.
    "RAY_health_check_timeout_ms": "60000",
}


class LocalCluster:
    """A head without devices, where drivers connect, and ``nodes`` workers with one CPU each; all are ours to kill."""

    def __init__(self, nodes: int) -> None:
        self._nodes = nodes
        self._cluster: Any = None

    def __enter__(self) -> LocalCluster:
        # A token of its own: who has one (any local run makes it) asks for it, and Ray's head would not know it.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(20))
        os.environ.update({name: value for name, value in TERMS.items() if name not in os.environ})
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}, shutdown_at_exit=True
        )
        for _ in range(self._nodes):
            self.add_node()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._cluster.shutdown()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add_node(self) -> None:
        self._cluster.add_node(num_cpus=1, object_store_memory=80 * 1024 * 1024)

    def kill_node(self, which: int) -> None:
        """SIGKILL for a worker node's raylet: everything on the node dies with it."""
        nodes = sorted(self._cluster.worker_nodes, key=lambda node: str(node.unique_id))
        self._cluster.remove_node(nodes[which % len(nodes)], allow_graceful=False)
