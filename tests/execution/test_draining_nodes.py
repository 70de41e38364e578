"""A node that Ray is told will go: it gets no new training, nothing is lost with it, and a new one takes its place.

A real cluster, real trainings, the real ``ray drain-node``; what trains where is seen by the processes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from metaloop.execution.ray_nodes import LOOK_S
from metaloop.files import journal
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, read_lines
from metaloop.meta.audit import audit
from metaloop.vocabulary import events as ev
from tests.multi_node import MultiNode, Worker, multi_node
from tests.processes import TRAINER, family, wait_until

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
SEED = 3
PATIENCE_S = 240.0
TERMS = ["--preset", "cpu-micro", "--devices", "2", "--gpu-hours", "0.08", "--confirm-pairs", "40", "--seed", str(SEED)]
PREEMPTED = 143
"""Exit code of a command that was told to stop."""
SOON_S = LOOK_S + 4.0
"""From notice on, by when the driver has looked and what was in training has ended."""


@pytest.fixture
def cluster() -> Iterator[MultiNode]:
    with multi_node(workers=2) as nodes:
        yield nodes


def drain(cluster: MultiNode, worker: Worker, deadline_s: int) -> None:
    reason = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "a test"]
    command = [str(Path(sys.executable).with_name("ray")), "drain-node", "--address", cluster.ray, "--node-id"]
    command += [worker.node, *reason, "--deadline-remaining-seconds", str(deadline_s)]
    subprocess.run(command, env={**cluster.environment(), "RAY_AUTH_MODE": "token"}, check=True, timeout=PATIENCE_S)


def trains(worker: Worker) -> bool:
    return bool(family(worker.raylet, f"{TRAINER}.train"))


def goes_on_alone(staying: Worker, going: Worker) -> None:
    """For some seconds, and for as long as it takes to see ``staying`` train (to look takes long on a busy machine)."""
    began, seen = time.monotonic(), 0
    while seen < 3 or time.monotonic() < began + 4.0:
        assert not trains(going), "it got a new training"
        assert time.monotonic() < began + PATIENCE_S, "nobody trains any more"
        seen += trains(staying)
        time.sleep(0.1)


def events_in(folder: OrgRunFolder) -> list[ev.Event]:
    return journal.read(folder.journal) if folder.journal.exists() else []


def confirmed(folder: OrgRunFolder) -> list[Confirmation]:
    return read_lines(folder.confirmations, Confirmation)


def leave(cluster: MultiNode, going: Worker, staying: Worker) -> Worker:
    """Notice, then the end; the worker that takes the place."""
    wait_until(lambda: trains(going), PATIENCE_S, "a training there")
    drain(cluster, going, 60)
    time.sleep(SOON_S)
    goes_on_alone(staying, going)
    os.kill(going.raylet, signal.SIGKILL)
    new = cluster.add_worker()
    wait_until(lambda: trains(new), PATIENCE_S, "a training on the new node")
    return new


def test_a_node_with_notice_takes_nothing_with_it(cluster: MultiNode, tmp_path: Path) -> None:
    first, second = cluster.workers
    out = tmp_path / "run"
    command = [sys.executable, "-m", "metaloop", "run", "orgs/solo-greedy", *TERMS, "--address", cluster.ray]
    run = subprocess.Popen([*command, "--no-mlflow", "--out", str(out)], cwd=ROOT, env=cluster.environment())
    try:
        folder = RunFolder(out).org_run("solo-greedy", SEED)
        wait_until(lambda: sum(isinstance(e, ev.Finished) for e in events_in(folder)) >= 3, PATIENCE_S, "trainings")
        third = leave(cluster, first, second)
        assert not any(isinstance(e, ev.RunEnded) for e in events_in(folder)), "too little budget for this test"

        wait_until(lambda: len(confirmed(folder)) >= 2, PATIENCE_S, "confirmations")
        leave(cluster, second, third)
        assert run.poll() is None, "too few confirmations for this test"
        run.terminate()
        assert run.wait(PATIENCE_S) == PREEMPTED, "seen enough: the rest would take minutes"
    finally:
        run.kill()
        run.wait()
    events = events_in(folder)
    audit(events)
    assert not any(isinstance(e, ev.Lost) for e in events)
    assert {c.state for c in confirmed(folder)} == {"ok"}
