"""What dies, stops or is stopped under Ray: processes that never fail a call by themselves, and notice of the end.

Real trainings (cpu-micro), real signals. The invariants are checked on every journal.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from metaloop.actors.state import OrgState, replay
from metaloop.execution.heartbeats import lease_s
from metaloop.execution.org_run import OrgRunTerms, run_org
from metaloop.execution.ray_backend import RayBackend
from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.files import journal
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import OrgRunFolder
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import Preempted
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from tests import invariant_checks as checks
from tests.processes import ROLE, TRAINER, family, send, wait_until

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
SPEC = TrainerSpec("nanogpt", "cpu-micro", "stdlib")
TARGET = describe(SPEC)
ORGANIZATION = load_organization(ROOT / "orgs" / "solo-greedy")
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def backend() -> Iterator[RayBackend]:
    """One for all, because warm trainers take their time; the last test gives it notice."""
    made = RayBackend(SPEC, 2)
    yield made
    made.close()


def host(backend: RayBackend, folder: OrgRunFolder, budget_s: float) -> OrgState:
    return run_org(OrgRunTerms(ORGANIZATION, 3, budget_s), folder, TARGET, backend, lambda *_: None)


def events_in(folder: OrgRunFolder) -> list[ev.Event]:
    return journal.read(folder.journal) if folder.journal.exists() else []


def count(folder: OrgRunFolder, kind: type) -> int:
    return sum(isinstance(event, kind) for event in events_in(folder))


def check(folder: OrgRunFolder, state: OrgState) -> list[ev.Event]:
    events = events_in(folder)
    checks.check_time(events)
    checks.check_2_replay(events, state)
    checks.check_3_ledger(events, state, TARGET.longest_s)
    checks.check_4_final_states(events, state)
    checks.check_5_trunk(events, state, ORGANIZATION, TARGET.space)
    checks.check_6_drained(state)
    return events


class Saboteur(threading.Thread):
    """Does something to a run beside it; what goes wrong there fails the test."""

    def __init__(self, deed: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._deed = deed
        self.wrong: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._deed()
        except BaseException as error:
            self.wrong = error

    def done(self) -> None:
        self.join(PATIENCE_S)
        assert self.wrong is None, self.wrong


def stop_one(title: str) -> None:
    send(family(os.getpid(), title)[0], signal.SIGSTOP)


def test_a_stopped_trainer_loses_its_lease_and_changes_nothing_when_it_comes_back(
    backend: RayBackend, tmp_path: Path
) -> None:
    folder = OrgRunFolder(tmp_path / "run")
    times: list[float] = []

    def deed() -> None:
        wait_until(lambda: count(folder, ev.Finished) >= 3, PATIENCE_S, "trainings")
        busy = f"{TRAINER}.train"
        wait_until(lambda: bool(family(os.getpid(), busy)), PATIENCE_S, "a training")
        stopped = family(os.getpid(), busy)[0]
        stopped.send_signal(signal.SIGSTOP)
        times.append(time.monotonic())
        wait_until(lambda: count(folder, ev.Lost) == 1, PATIENCE_S, "the lease to run out")
        times.append(time.monotonic())
        send(stopped, signal.SIGCONT)

    saboteur = Saboteur(deed)
    state = host(backend, folder, 60.0)
    saboteur.done()
    events = check(folder, state)
    lost = next(e for e in events if isinstance(e, ev.Lost))
    again = [e.attempt for e in events if isinstance(e, ev.Started) and e.experiment == lost.experiment]
    assert again == [1, 2]
    lease = lease_s(TARGET.longest_s)
    assert lease / 2 < times[1] - times[0] < 2 * lease + 5.0, "found out by its lease, and not by its hanging"
    results: dict[int, TrainingResult] = {}
    backend.train_all([TrainingRequest({}, seed) for seed in range(4)], results.__setitem__)
    assert [results[i].state for i in range(4)] == ["ok"] * 4, "the device came back"


def test_a_stopped_member_is_born_again(backend: RayBackend, tmp_path: Path) -> None:
    folder = OrgRunFolder(tmp_path / "run")

    def deed() -> None:
        wait_until(lambda: count(folder, ev.Finished) >= 2, PATIENCE_S, "trainings")
        for process in family(os.getpid(), ROLE):
            process.send_signal(signal.SIGSTOP)

    saboteur = Saboteur(deed)
    state = host(backend, folder, 70.0)
    saboteur.done()
    events = check(folder, state)
    died = [e for e in events if isinstance(e, ev.ActorDied)]
    assert died
    assert any(isinstance(e, ev.Proposed) and e.t > died[0].t for e in events)


def test_a_stopped_trainer_does_not_hold_up_the_harness(backend: RayBackend) -> None:
    results: dict[int, TrainingResult] = {}
    requests = [TrainingRequest({}, seed) for seed in range(6)]

    def deed() -> None:
        wait_until(lambda: len(results) >= 1, PATIENCE_S, "a training")
        stop_one(TRAINER)

    saboteur = Saboteur(deed)
    backend.train_all(requests, results.__setitem__)
    saboteur.done()
    assert sorted(results) == list(range(6))
    assert {result.state for result in results.values()} == {"ok"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_processes_that_die_or_stop_between_org_runs_are_replaced_by_the_next_one(
    backend: RayBackend, tmp_path: Path, how: signal.Signals
) -> None:
    host(backend, OrgRunFolder(tmp_path / "first"), 2.0)
    for process in [*family(os.getpid(), ROLE), *family(os.getpid(), TRAINER)]:
        send(process, how)
    folder = OrgRunFolder(tmp_path / "second")
    check(folder, host(backend, folder, 30.0))
    assert count(folder, ev.Finished) >= 1


def test_notice_lets_trainings_end_and_leaves_a_run_to_take_up(backend: RayBackend, tmp_path: Path) -> None:
    folder = OrgRunFolder(tmp_path / "run")

    def deed() -> None:
        wait_until(lambda: count(folder, ev.Finished) >= 3, PATIENCE_S, "trainings")
        backend.notice.give()

    saboteur = Saboteur(deed)
    with pytest.raises(Preempted):
        host(backend, folder, 30.0)
    saboteur.done()
    before = events_in(folder)
    assert not replay(before).running, "what was in training has ended"
    assert not any(isinstance(e, ev.RunEnded) for e in before)
    with pytest.raises(Preempted):
        backend.train_all([TrainingRequest({}, 1)], lambda *_: None)

    backend.close()
    successor = RayBackend(SPEC, 2)
    try:
        state = host(successor, folder, 30.0)
    finally:
        successor.close()
    events = check(folder, state)
    assert events[: len(before)] == before
    assert not any(isinstance(e, ev.Lost) for e in events), "nothing was cut off, nothing is trained again"
