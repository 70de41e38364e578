"""``metaloop top``: its frames, its record, its keys."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from metaloop.edges.cli import cli
from metaloop.edges.top_view import MOST_DEVICES, NARROW, frame
from metaloop.files.mirror import begin_mirror
from metaloop.files.run_folder import RunFolder
from metaloop.meta.watching import SILENCE_S, DeviceNow, OrgRunNow, RunNow, Watch
from metaloop.vocabulary.errors import FileError, UsageError
from tests.meta.synthetic_run import PROFILES, write_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Three org runs that ended, and one that goes on."""
    return write_run(tmp_path_factory.mktemp("top") / "run", PROFILES[:2], seeds=2, ended=False)


def drawn(now: RunNow, width: int) -> str:
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(frame(now, width), soft_wrap=True)
    return console.export_text()


def test_one_frame(run: RunFolder) -> None:
    result = CliRunner(env={"COLUMNS": "140"}).invoke(cli, ["top", str(run.path), "--once"])
    assert result.exit_code == 0, result.output
    assert "3 of 4 org runs ended" in result.output
    assert "GPU-hours" in result.output
    assert "for local-proposer" in result.output or "idle" in result.output
    assert "only confirmation says what it is worth" in result.output
    rows = [line for line in result.output.splitlines() if line.startswith(("solo-greedy ", "no-op "))]
    assert any("confirmed" in row for row in rows)
    assert any("running" in row or "silent" in row for row in rows)


def test_one_record(run: RunFolder) -> None:
    result = CliRunner().invoke(cli, ["top", str(run.path), "--json"])
    record = json.loads(result.stdout)
    assert record["org_runs_planned"] == 4
    assert {"devices", "queue", "gain_val_bpb", "spent_gpu_hours", "eta_s"} <= set(record["org_runs"][0])


def test_what_a_run_is_mirrored_to_shows_the_same_and_is_not_taken_over(run: RunFolder, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'store'}"
    mirror = begin_mirror(run.path, url, "one")
    mirror.push()
    here, there = (CliRunner().invoke(cli, ["top", place, "--json"]) for place in (str(run.path), url))
    assert there.exit_code == 0, there.output
    ours, theirs = json.loads(here.stdout), json.loads(there.stdout)
    assert theirs["path"] == url
    for record in (*ours["org_runs"], *theirs["org_runs"]):
        del record["silent_s"], record["phase"]  # of the one that goes on: as old as its last file
    assert theirs["org_runs"] == ours["org_runs"]
    mirror.push()


def test_an_empty_place_holds_no_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["top", f"file://{tmp_path / 'nothing'}"])
    assert isinstance(result.exception, UsageError)
    assert "holds no run" in str(result.exception)


def test_a_narrow_terminal_gets_what_fits(run: RunFolder) -> None:
    now = Watch(run.path, SILENCE_S).look(time.time())
    narrow, wide = drawn(now, 80), drawn(now, 140)
    header = next(line for line in narrow.splitlines() if line.startswith("organization"))
    assert tuple(header.split()) == NARROW
    assert "per GPU-h" in wide
    assert "per GPU-h" not in narrow
    assert "…" not in narrow.split("start, trunk")[0]


def test_ten_thousand_devices_fit_a_frame() -> None:
    devices = tuple(DeviceNow(f"gpu-{i}", "" if i == 9_999 else f"e{i}", "candidate", "a", 1.0) for i in range(10_000))
    one = OrgRunNow(
        "", "org", 0, "running", 60.0, 0.0, devices, 3, 9, 1, 4.0, 3.5, 0.5, 2.0, 0.25, 10.0, 0.9, 0, 0.0, 0, 100.0
    )
    now = RunNow("runs/x", False, 60, 0, 0.25, 10.0, 1200, 0.5, 100.0, (one,) * 60)
    text = drawn(now, 140)
    assert "9999/10000" in text
    assert "1,200 tokens" in text
    assert "… and 36 more" in text
    assert f"… and {10_000 - MOST_DEVICES} more: 9999 of 10000 are busy" in text
    assert text.index("gpu-9999") < text.index("gpu-0 ")


def test_no_run_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="Name the folder of a metaloop run"):
        CliRunner().invoke(cli, ["top", str(tmp_path)], catch_exceptions=False)


def test_q_ends_it(run: RunFolder) -> None:
    """On a real terminal: frames come, and q ends it without Enter."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "metaloop", "top", str(run.path), "--every", "0.2"]
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen, deadline = b"", time.monotonic() + 60
    while b"org runs ended" not in seen and time.monotonic() < deadline:
        if select.select([ours], [], [], 0.5)[0]:
            seen += os.read(ours, 65536)
    assert b"org runs ended" in seen
    os.write(ours, b"q")
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                os.read(ours, 65536)
            except OSError:
                break
    assert process.wait(timeout=30) == 0
    os.close(ours)
