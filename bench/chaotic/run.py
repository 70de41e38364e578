"""One run of ``metaloop`` that suffers: its driver is a process of its own, its trainings are real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.chaotic.cluster import LocalCluster
from bench.chaotic.kills import Aim, Kill
from metaloop.actors.entries import INTERRUPTED
from metaloop.execution.heartbeats import lease_s
from metaloop.execution.nanogpt_trainer import LONGEST_S
from metaloop.files import journal
from metaloop.vocabulary import events as ev
from tests.processes import ROLE, TRAINER, family, send

ROOT = Path(__file__).resolve().parents[2]
PRESET = "cpu-micro"
BACK_WITHIN_S = 300.0
"""How long a run may take to bring a result again; a loaded machine takes a minute to start a driver."""
PAUSE_S = 1.0
PAST_LEASE_S = 2 * lease_s(LONGEST_S[PRESET]) + 5.0
"""Twice the lease: it is counted in looks, which a driver on a busy machine takes less often than it would."""


class ChaoticRun:
    """A run of organizations in ``out`` on a cluster, and what is done to it."""

    def __init__(
        self, cluster: LocalCluster, out: Path, organizations: tuple[str, ...], seed: int, gpu_hours: float
    ) -> None:
        self._cluster = cluster
        self._out = out.resolve()
        self._deeds: dict[str, Callable[[int], None]] = {
            "trainer killed": lambda which: self._hit(TRAINER, which, signal.SIGKILL),
            "trainer stopped": self._stop_trainer,
            "trainer paused": self._pause_trainer,
            "member killed": lambda which: self._hit(ROLE, which, signal.SIGKILL),
            "member stopped": self._stop_member,
            "driver killed": self._kill_driver,
            "driver paused": self._pause_driver,
            "driver preempted": self._preempt_driver,
            "node killed": self._kill_node,
        }
        folders = [str(ROOT / "orgs" / name) for name in organizations]
        terms = ["--preset", PRESET, "--devices", "2", "--gpu-hours", str(gpu_hours), "--seed", str(seed)]
        self._driver = self._start("run", *folders, *terms, "--confirm-pairs", "2", "--out", str(self._out))
        self._wait(lambda: self._results() > 0, "the first result")

    def over(self, wait_s: float) -> bool:
        """Let time pass; whether the run has ended."""
        try:
            self._driver.wait(wait_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def check_ended_well(self) -> None:
        """The last driver did everything."""
        _, errors = self._driver.communicate()
        assert self._driver.returncode == 0, errors

    def suffer(self, aim: Aim, number: int, at_s: float) -> Kill:
        """Do harm, and see what comes of it."""
        before, phase = self._events(), self._phase()
        self._deeds[aim.kind](aim.which)
        hit, results = time.monotonic(), self._results()
        self._wait(lambda: self._results() > results or self._driver.poll() is not None, "a result after the harm")
        back = time.monotonic() - hit if self._results() > results else None
        return Kill(number, at_s, aim.kind, phase, self._outcome(before, phase), back)

    # Deeds -----------------------------------------------------------------------------------------------------

    def _hit(self, title: str, which: int, number: signal.Signals) -> psutil.Process | None:
        victims = family(os.getpid(), title)
        if not victims:
            return None
        victim = victims[which % len(victims)]
        send(victim, number)
        return victim

    def _stop_trainer(self, which: int) -> None:
        victim = self._hit(TRAINER, which, signal.SIGSTOP)
        time.sleep(PAST_LEASE_S)
        if victim is not None:
            send(victim, signal.SIGCONT)

    def _stop_member(self, which: int) -> None:
        self._hit(ROLE, which, signal.SIGSTOP)
        time.sleep(PAST_LEASE_S)

    def _pause_trainer(self, which: int) -> None:
        victim = self._hit(TRAINER, which, signal.SIGSTOP)
        time.sleep(PAUSE_S)
        if victim is not None:
            send(victim, signal.SIGCONT)

    def _kill_driver(self, _which: int) -> None:
        self._driver.kill()
        self._resume()

    def _preempt_driver(self, _which: int) -> None:
        self._driver.send_signal(signal.SIGTERM)
        self._resume()

    def _pause_driver(self, _which: int) -> None:
        """A driver that was stopped is not dead: nobody may take its place."""
        self._driver.send_signal(signal.SIGSTOP)
        over = (self._out / "results.json").exists()
        rival = self._start("resume", str(self._out))
        _, errors = rival.communicate(timeout=BACK_WITHIN_S)
        self._driver.send_signal(signal.SIGCONT)
        if not over:
            assert rival.returncode == 2, errors
            assert "another process is at work here" in errors, errors

    def _kill_node(self, which: int) -> None:
        self._cluster.kill_node(which)
        time.sleep(3 * PAUSE_S)
        self._cluster.add_node()

    def _start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        code = "from metaloop.edges.cli import main; main()"
        line = [sys.executable, "-c", code, command, *arguments, "--address", self._cluster.address, "--no-mlflow"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [*line, "--json"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def _resume(self) -> None:
        """Take the run up again once its driver is gone; one that ended before it was hit needs nobody."""
        _, errors = self._driver.communicate(timeout=BACK_WITHIN_S)
        if self._driver.returncode == 0:
            return
        assert self._driver.returncode in (-signal.SIGKILL, 128 + signal.SIGTERM), errors
        self._driver = self._start("resume", str(self._out))

    # What can be seen of it ------------------------------------------------------------------------------------

    def _events(self) -> dict[Path, list[ev.Event]]:
        return {path: journal.read(path) for path in sorted(self._out.glob("*/seed-*/journal.jsonl"))}

    def _results(self) -> int:
        """Trainings of the organizations and of the harness that have brought a result."""
        confirmed = [path.read_bytes().count(b"\n") for path in self._out.glob("*/seed-*/confirmation.jsonl")]
        journals = self._out.glob("*/seed-*/journal.jsonl")
        return sum(path.read_bytes().count(b'"type":"finished"') for path in journals) + sum(confirmed)

    def _phase(self) -> str:
        under_way = [e for e in self._events().values() if not (e and isinstance(e[-1], ev.RunEnded))]
        if not under_way:
            return "confirming"
        state_names = {type(event) for event in under_way[0]}
        return "org run" if ev.Started in state_names else "starting"

    def _outcome(self, before: dict[Path, list[ev.Event]], phase: str) -> str:
        """What the journals tell of it since then; they may only have grown."""
        new: list[ev.Event] = []
        for path, events in self._events().items():
            old = before.get(path, [])
            assert events[: len(old)] == old, f"{path} was changed"
            new += events[len(old) :]
        lost = sum(isinstance(e, ev.Lost) and e.reason != INTERRUPTED for e in new)
        cut = sum(isinstance(e, ev.Lost) and e.reason == INTERRUPTED for e in new)
        found = [
            f"{lost} lost and queued again" if lost else "",
            "taken up again" if any(isinstance(e, ev.Interrupted) for e in new) else "",
            f"{cut} cut off and queued again" if cut else "",
            "member born again" if any(isinstance(e, ev.ActorDied) for e in new) else "",
        ]
        said = ", ".join(text for text in found if text)
        return said or ("trained on" if phase == "confirming" else "nothing lost")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + BACK_WITHIN_S
        while not condition():
            if time.monotonic() > deadline:
                self._driver.kill()
                raise TimeoutError(f"{self._out}: waited in vain for {what}: {self._driver.communicate()[1][-2000:]}")
            time.sleep(0.1)
