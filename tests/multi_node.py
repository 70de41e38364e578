"""A Ray cluster of several nodes on this machine, with a job server and a token of its own, for tests and by hand.

``python tests/multi_node.py 2`` starts a head without devices and two workers of one CPU each, prints where they are
as one line of JSON, and ends them when its standard input closes. For each line there it adds a worker, and prints it.
``python tests/multi_node.py 2 A100 H100``: what Ray is told that the workers' accelerators are (they have none).
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOKEN = "RAY_AUTH_TOKEN"


@dataclass(frozen=True)
class Worker:
    """A node of one CPU: Ray's identifier in hex, and the process with which it lives and dies."""

    node: str
    raylet: int


@dataclass(frozen=True)
class MultiNode:
    """Where the cluster is, who may use it, and its first workers."""

    process: subprocess.Popen[str]
    ray: str
    jobs: str
    metrics: int
    token: str
    workers: tuple[Worker, ...]

    def add_worker(self) -> Worker:
        """One more."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("add\n")
        self.process.stdin.flush()
        return Worker(**json.loads(self.process.stdout.readline()))

    def environment(self, token: str | None = None) -> dict[str, str]:
        """This process's environment with the cluster's token (or another one), and no other cluster's address."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        root = str(Path(__file__).resolve().parent.parent)
        return {**kept, TOKEN: token or self.token, "PYTHONPATH": root}


@contextmanager
def multi_node(workers: int, accelerators: tuple[str, ...] = ()) -> Iterator[MultiNode]:
    """The cluster, as long as the block lasts."""
    environment = {**os.environ, TOKEN: secrets.token_hex(20), "RAY_AUTH_MODE": "token"}
    command = [sys.executable, __file__, str(workers), *accelerators]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, "the cluster did not start; what it said stands above"
        told = json.loads(line)
        yield MultiNode(process, **{**told, "workers": tuple(Worker(**worker) for worker in told["workers"])})
    finally:
        process.stdin.close()
        process.wait(timeout=60)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for each in sockets:
        each.close()
    return ports


def main() -> None:
    """Start, tell, wait, end."""
    os.environ.setdefault(TOKEN, secrets.token_hex(20))
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    from ray.cluster_utils import Cluster

    web, agent, metrics = free_ports(3)
    head = {"num_cpus": 0, "include_dashboard": True, "dashboard_host": "127.0.0.1", "dashboard_port": web}
    ports = {"dashboard_agent_listen_port": agent, "metrics_export_port": metrics}
    cluster = Cluster(initialize_head=True, head_node_args={**head, **ports})
    kinds = dict(enumerate(sys.argv[2:]))
    workers = [_add_worker(cluster, index, kinds.get(index, "")) for index in range(int(sys.argv[1]))]
    where = {"ray": cluster.address, "jobs": f"http://127.0.0.1:{web}", "metrics": metrics, "token": os.environ[TOKEN]}
    print(json.dumps({**where, "workers": workers}), flush=True)
    for _ in sys.stdin:
        workers.append(_add_worker(cluster, len(workers), ""))
        print(json.dumps(workers[-1]), flush=True)
    cluster.shutdown()


def _add_worker(cluster: Any, index: int, accelerator: str, attempts: int = 3) -> dict[str, Any]:
    """One more node. Ray gives its processes 30 s to start, which is little where many tests share few cores."""
    resources = {f"accelerator_type:{accelerator}": 1} if accelerator else {}
    for attempt in range(attempts):
        try:
            # With one folder for all, each node would unpack a job's package over the one that others use.
            own = f"runtime_resources_{index}_{attempt}"
            node = cluster.add_node(num_cpus=1, resources=resources, runtime_env_dir_name=own)
        except Exception as error:
            print(f"node {index}, attempt {attempt}: {error}", file=sys.stderr)
        else:
            return {"node": node.node_id, "raylet": node.all_processes["raylet"][0].process.pid}
    raise RuntimeError(f"node {index} did not start")


if __name__ == "__main__":
    main()
