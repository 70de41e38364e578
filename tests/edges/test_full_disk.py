"""A disk that fills up in mid-run: one line, nothing half-written, and `metaloop resume` goes on."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from metaloop.files import journal
from metaloop.files.run_folder import RunFolder
from metaloop.vocabulary import events as ev
from tests import invariant_checks as checks
from tests.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
MAIN = "from metaloop.edges.cli import main; main()"


def metaloop(*arguments: str, most_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """The command, with no file longer than ``most_bytes``: a line that reaches it is cut short as on a full disk."""

    def limit() -> None:
        if most_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    command = [sys.executable, "-c", MAIN, *arguments, "--no-mlflow", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, preexec_fn=limit)


def check_stopped_in_order(done: subprocess.CompletedProcess[str], file: Path, refused: str) -> list[ev.Event]:
    """It ended with one line that says ``refused``, and the journal holds whole events."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert refused in last
    assert "metaloop resume" in last
    assert file.read_bytes().endswith(b"\n")
    return journal.read(file)


def test_a_simulated_run_says_so_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    terms = ["--backend", "sim", "--gpu-hours", "0.02", "--confirm-pairs", "2", "--out", str(out)]
    full = metaloop("run", str(ROOT / "orgs" / "solo-greedy"), *terms, most_bytes=20_000)
    file = RunFolder(out).org_run("solo-greedy", 0).journal
    assert len(check_stopped_in_order(full, file, f"{file}: cannot be written: File too large")) > 10
    resumed = metaloop("resume", str(out))
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["organizations"][0]["experiments"] > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB in memory; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(ballast: Path, but: int) -> None:
    """Leave ``but`` bytes free on the ballast's disk."""
    disk = os.statvfs(ballast.parent)
    ballast.write_bytes(b"x" * (disk.f_bavail * disk.f_bsize - but))


@pytest.mark.long
@pytest.mark.parametrize(
    ("finished", "but", "refused"),
    [pytest.param(0, 200_000, "git ", id="at the start"), pytest.param(3, 0, "No space left on device", id="later")],
)
def test_a_real_run_on_a_full_disk_goes_on_once_there_is_room(
    small_disk: Path, finished: int, but: int, refused: str
) -> None:
    out, ballast = small_disk / "run", small_disk / "ballast"
    file = RunFolder(out).org_run("no-op", 0).journal
    terms = ["--preset", "cpu-micro", "--devices", "1", "--gpu-hours", "0.006", "--confirm-pairs", "2"]
    run = ["run", str(ROOT / "orgs" / "no-op"), *terms, "--out", str(out)]

    def work() -> bool:
        return not finished or (file.exists() and file.read_bytes().count(b'"type":"finished"') >= finished)

    with ThreadPoolExecutor(1) as beside:
        if not finished:
            fill(ballast, but)
        full = beside.submit(metaloop, *run)
        wait_until(work, 120.0, "trainings")
        if finished:
            fill(ballast, but)
        before = check_stopped_in_order(full.result(), file, refused)
    ballast.unlink()
    resumed = metaloop("resume", str(out))
    assert resumed.returncode == 0, resumed.stderr
    events = journal.read(file)
    assert events[: len(before)] == before
    done = {e.experiment for e in before if isinstance(e, ev.Finished)}
    assert len(done) >= finished
    assert not done & {e.experiment for e in events[len(before) :] if isinstance(e, ev.Started)}
    checks.check_time(events)
