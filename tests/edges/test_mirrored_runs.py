"""Runs whose folder is mirrored: what stands there is the run, and enough to go on from when the machine is gone."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from metaloop.edges.cli import cli
from metaloop.edges.mirror import mirrored
from metaloop.edges.progress import Progress
from metaloop.files import journal
from metaloop.files.repository import Repository
from metaloop.files.run_folder import RunFolder
from metaloop.files.store import Store
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
ORG = str(ROOT / "orgs" / "solo-greedy")
SMALL = ["--gpu-hours", "0.01", "--confirm-pairs", "2", "--no-mlflow", "--json"]
PATIENCE_S = 120.0


def metaloop(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    code = "from metaloop.edges.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def kill_all(process: subprocess.Popen[str]) -> None:
    for member in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_finished_run_stands_in_its_store_whole(tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'store' / 'run'}"
    out = tmp_path / "run"
    result = metaloop("run", ORG, *SMALL, "--backend", "sim", "--out", str(out), "--mirror", url)
    assert result.exit_code == 0, result.output
    results = json.loads(Store(url).get("results.json"))
    assert results["organizations"] == json.loads(result.stdout)["organizations"]
    shutil.rmtree(out)
    again = metaloop("resume", url, "--out", str(tmp_path / "copy"), "--no-mlflow", "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["organizations"] == results["organizations"]
    repository = Repository(tmp_path / "copy" / "solo-greedy" / "seed-0" / "repo")
    events = journal.read(tmp_path / "copy" / "solo-greedy" / "seed-0" / "journal.jsonl")
    assert repository.trunk_ids()[1:] == [e.commit for e in events if isinstance(e, ev.Merged)]


def test_a_run_does_not_begin_where_another_is_mirrored(tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'store'}"
    options = [*SMALL, "--backend", "sim", "--mirror", url]
    assert metaloop("run", ORG, *options, "--out", str(tmp_path / "one")).exit_code == 0
    with pytest.raises(UsageError, match="already holds a run"):
        metaloop("run", ORG, *options, "--out", str(tmp_path / "two"))
    assert not (tmp_path / "two").exists()


def test_a_store_that_fails_in_mid_run_is_told_of_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, store = tmp_path / "run", tmp_path / "store"
    run.mkdir()
    (run / "run.json").write_text("{}")
    with mirrored(run, f"file://{store}", Progress(), interval_s=0.05):
        shutil.rmtree(store)
        store.write_text("a file in its place")
        time.sleep(0.3)
        went_on = True
    assert went_on
    told = capsys.readouterr().err.replace("\n", " ")
    assert told.count("mirror: ") == 1
    assert "Catch up with: metaloop resume" in told


@pytest.mark.long
def test_a_run_goes_on_elsewhere_when_its_machine_is_gone(tmp_path: Path) -> None:
    """SIGKILL to everything, the folder deleted: `resume URL` goes on from the mirror, and pays nothing finished there
    again."""
    url = f"file://{tmp_path / 'store'}"
    terms = ["--preset", "cpu-micro", "--devices", "1", "--seed", "5", "--mirror", url, "--out", "run"]
    there = RunFolder(tmp_path / "store").org_run("solo-greedy", 5)

    def finished() -> set[str]:
        events = journal.read(there.journal) if there.journal.exists() else []
        return {e.experiment for e in events if isinstance(e, ev.Finished)}

    run = start("run", ORG, *SMALL, *terms, cwd=tmp_path)
    wait_for(lambda: len(finished()) >= 2, run)
    kill_all(run)
    shutil.rmtree(tmp_path / "run")
    before = journal.read(there.journal)
    resumed = start("resume", url, "--out", "elsewhere", "--no-mlflow", "--json", cwd=tmp_path)
    printed, errors = resumed.communicate(timeout=2 * PATIENCE_S)
    assert resumed.returncode == 0, errors
    assert json.loads(printed)["organizations"][0]["name"] == "solo-greedy"
    after = journal.read(RunFolder(tmp_path / "elsewhere").org_run("solo-greedy", 5).journal)
    assert after[: len(before)] == before
    assert isinstance(after[len(before)], ev.Interrupted)
    done = {e.experiment for e in before if isinstance(e, ev.Finished)}
    assert not done & {e.experiment for e in after[len(before) :] if isinstance(e, ev.Started)}
    assert journal.read(there.journal) == after
    merged = [e.commit for e in after if isinstance(e, ev.Merged)]
    assert Repository(tmp_path / "elsewhere" / "solo-greedy" / "seed-5" / "repo").trunk_ids()[1:] == merged
