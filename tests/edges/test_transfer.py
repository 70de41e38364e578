"""``metaloop transfer``, whole: trunks of a simulated run are trained for real at another size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from metaloop.edges.schemas import schema_of
from metaloop.files.run_folder import Confirmation, RunFolder, read_lines

ROOT = Path(__file__).resolve().parents[2]


def metaloop(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from metaloop.edges.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated run of two organizations, one of which never merges."""
    out = tmp_path_factory.mktemp("transfer") / "run"
    names = [str(ROOT / "orgs" / name) for name in ("solo-greedy", "no-op")]
    terms = ["--backend", "sim", "--gpu-hours", "0.003", "--confirm-pairs", "2", "--out", str(out), "--no-mlflow"]
    done = metaloop("run", *names, *terms)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.long
def test_a_trunk_is_trained_again_and_nothing_twice(run: Path) -> None:
    arguments = ("transfer", str(run), "--to", "cpu-micro", "--pairs", "2", "--json")
    done = metaloop(*arguments)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    jsonschema.Draft202012Validator(schema_of("transfer")).validate(printed)
    (trunk,) = printed["trunks"]
    assert trunk["organization"] == "solo-greedy"
    assert (trunk["small_preset"], trunk["large_preset"]) == ("cpu-tiny", "cpu-micro")
    assert trunk["changes"]
    assert all(change["large"]["n"] <= 2 for change in trunk["changes"])
    out = run.with_name("run-cpu-micro")
    file = RunFolder(out).org_run("solo-greedy", 0).confirmations
    first = file.read_bytes()
    trained = read_lines(file, Confirmation)
    assert len(trained) == 2 * (len(trunk["changes"]) + 1)
    again = metaloop(*arguments)
    assert file.read_bytes() == first
    assert json.loads(again.stdout) == json.loads(done.stdout)
    assert (out / "transfer.md").read_text().startswith("## solo-greedy, seed 0: cpu-tiny to cpu-micro")


def test_a_run_that_has_not_ended_is_ended_first(run: Path, tmp_path: Path) -> None:
    unfinished = tmp_path / "unfinished"
    shutil.copytree(run, unfinished)
    journal = RunFolder(unfinished).org_run("solo-greedy", 0).journal
    journal.write_bytes(b"\n".join(journal.read_bytes().split(b"\n")[:-2]) + b"\n")
    done = metaloop("transfer", str(unfinished), "--to", "cpu-micro")
    assert done.returncode == 2
    assert done.stderr == f"metaloop: {unfinished} is not finished. End it with `metaloop resume {unfinished}`.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to", "cpu-tinny"), "unknown preset 'cpu-tinny'"),
        (("--to", "cpu-micro", "--organization", "nobody"), "has no organization 'nobody'"),
    ],
)
def test_bad_input_is_one_line(run: Path, arguments: tuple[str, ...], said: str) -> None:
    done = metaloop("transfer", str(run), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_organization_is_run_anew_and_says_for_how_long() -> None:
    done = metaloop("transfer", str(ROOT / "orgs" / "solo-greedy"), "--to", "cpu-micro")
    assert done.returncode == 2
    assert "--gpu-hours" in done.stderr
