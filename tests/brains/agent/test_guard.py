"""The guard by itself, where the kernel grants a PID namespace and where it does not: nothing outlives the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.brains.agent.harness import alive

ROOT = Path(__file__).parents[3]
WITH = "from metaloop.brains.agent import guard; guard.main()"
WITHOUT = "from metaloop.brains.agent import guard; guard.enter_namespace = lambda: False; guard.main()"
LIMITS = {"processes": 32, "file_bytes": 10**6, "memory_bytes": 10**9}
DAEMONS = """
import os, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                if os.fork():
                    os._exit(0)
                os.setsid()
                time.sleep(0.02)
        os._exit(0)
print('up', flush=True)
time.sleep({seconds})  # {mark}
"""
"""Three lines of daemons, each of which lives for a moment and hands over to its child."""


def guarded(mode: str, *command: str) -> tuple[subprocess.Popen[str], int]:
    """The guard over a command, and the end of its report that is read."""
    reports, told = os.pipe()
    with open(os.devnull) as null:
        limits = json.dumps({**LIMITS, "stdin": null.fileno(), "report": told})
        process = subprocess.Popen(
            [sys.executable, "-c", mode, limits, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            pass_fds=(null.fileno(), told),
            start_new_session=True,
        )
    os.close(told)
    return process, reports


def report(reports: int) -> dict[str, object]:
    with os.fdopen(reports) as file:
        return dict(json.loads(file.readline()))


@pytest.mark.parametrize("mode", [WITH, WITHOUT], ids=["namespace", "subreaper"])
@pytest.mark.parametrize("seconds", [0, 99])
def test_daemons_that_hand_over_are_caught(mode: str, seconds: int) -> None:
    mark = f"relay-{seconds}-{mode is WITH}"
    process, reports = guarded(mode, sys.executable, "-c", DAEMONS.format(seconds=seconds, mark=mark))
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    if seconds:
        time.sleep(0.3)
        process.stdin.close()
    assert report(reports) == ({"exit": None, "why": "told to stop"} if seconds else {"exit": 0, "why": ""})
    process.wait(10)
    time.sleep(0.5)
    assert not [pid for pid in alive(mark) if pid != process.pid]


@pytest.mark.parametrize("mode", [WITH, WITHOUT], ids=["namespace", "subreaper"])
def test_a_signal_is_an_exit_code(mode: str) -> None:
    process, reports = guarded(mode, sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert report(reports) == {"exit": 137, "why": ""}
    process.wait(10)


@pytest.mark.parametrize("mode", [WITH, WITHOUT], ids=["namespace", "subreaper"])
def test_what_cannot_be_executed_is_told(mode: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    process, reports = guarded(mode, str(script))
    assert "cannot be run: No such file or directory" in str(report(reports)["why"])
    process.wait(10)
