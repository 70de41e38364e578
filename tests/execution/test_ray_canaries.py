"""A device that really is throttled: its process is stopped for three quarters of the time while it trains for real."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from metaloop.execution.org_run import OrgRunTerms, run_org
from metaloop.execution.ray_backend import RayBackend
from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.files import journal
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import OrgRunFolder
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.canaries import CanaryTerms
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from tests import invariant_checks as checks
from tests.processes import send

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
SPEC = TrainerSpec("nanogpt", "cpu-micro", "stdlib")
TARGET = describe(SPEC)
RUNS_S, RESTS_S = 0.02, 0.06


class Throttle(threading.Thread):
    """Lets a process run for a quarter of the time, until it is lifted."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._lifted = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._lifted.wait(RUNS_S):
            send(self._process, signal.SIGSTOP)
            time.sleep(RESTS_S)
            send(self._process, signal.SIGCONT)

    def lift(self) -> None:
        self._lifted.set()
        self.join()


def test_a_throttled_core_is_set_aside_and_the_harness_does_without_it(tmp_path: Path) -> None:
    backend = RayBackend(SPEC, 2)
    pid = backend._ray.get(backend._trainers.ready("cpu-1"))
    throttle = Throttle(psutil.Process(pid))
    folder = OrgRunFolder(tmp_path / "run")
    # A whole training as canary: at this size a tenth of one is too short to be throttled evenly.
    canaries = CanaryTerms(every_s=5.0, fraction=1.0, slower=1.7)
    try:
        terms = OrgRunTerms(load_organization(ROOT / "orgs/solo-greedy"), 3, 40.0, canaries=canaries)
        state = run_org(terms, folder, TARGET, backend, lambda *_: None)
        results: dict[int, TrainingResult] = {}
        off = frozenset(state.canaries.set_aside)
        backend.train_all([TrainingRequest({}, seed) for seed in range(4)], results.__setitem__, off)
    finally:
        throttle.lift()
        backend.close()
    events = journal.read(folder.journal)
    checks.check_2_replay(events, state)
    checks.check_3_ledger(events, state, TARGET.longest_s)
    checks.check_waiting(events)
    (event,) = [e for e in events if isinstance(e, ev.SetAside)]
    assert event.device == "cpu-1"
    assert "times as long as the others'" in event.reason
    later = [e for e in events if isinstance(e, ev.Started) and e.t > event.t]
    assert later
    assert event.device not in {e.device for e in later}
    assert {result.state for result in results.values()} == {"ok"}
