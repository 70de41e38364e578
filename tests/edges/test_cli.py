"""The command line as a whole: exit codes, one-line errors, nothing half-made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def metaloop(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from metaloop.edges.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "orgs", tmp_path / "orgs")
    shutil.copytree(ROOT / "roles", tmp_path / "roles")
    return tmp_path


def test_help_names_every_command_without_heavy_imports(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom metaloop.edges.cli import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'ray', 'mlflow', 'optuna', 'scipy', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("check", "role", "run", "resume", "compare", "report", "evolve", "replay", "idea"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("command", ["check", "role", "run", "resume", "compare", "report", "evolve", "replay", "idea"])
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    done = metaloop(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Usage: " in done.stdout


def test_check_fails_with_the_files_that_are_wrong(place: Path) -> None:
    assert metaloop("check", cwd=place).returncode == 0
    org = place / "orgs" / "tpe" / "ORG.md"
    org.write_text(org.read_text().replace("role: tpe-proposer", "role: tpe-propser"))
    done = metaloop("check", cwd=place)
    assert done.returncode == 2
    assert "orgs/tpe/ORG.md:" in done.stderr
    assert "tpe-proposer" in done.stderr


BAD = {
    "run": (["run"], "no organization was named"),
    "missing organization": (["run", "orgs/nope"], "orgs/nope"),
    "twice": (["run", "orgs/tpe", "orgs/tpe"], "two organizations are called 'tpe'"),
    "preset": (["run", "orgs/tpe", "--preset", "cpu-tinny"], "did you mean 'cpu-tiny'"),
    "trainer": (["run", "orgs/tpe", "--trainer", "nanogtp"], "did you mean 'nanogpt'"),
    "budget": (["run", "orgs/tpe", "--gpu-hours", "-1"], "-1.0 is not in the range"),
    "resume": (["resume", "orgs"], "run.json"),
    "replay": (["replay", "roles/director.md"], "director.md:1: not a journal event"),
    "report": (["report", "orgs"], "run.json"),
    "compare": (["compare", "orgs"], "run.json"),
    "idea": (["idea", "add", "orgs", "text"], "no run's folder"),
    "command": (["rum"], "No such command 'rum'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_one_clear_error(case: str, place: Path) -> None:
    arguments, expected = BAD[case]
    before = sorted(p.name for p in place.iterdir())
    done = metaloop(*arguments, cwd=place)
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(p.name for p in place.iterdir()) == before, "nothing is left behind"


def test_a_focus_that_the_target_does_not_know_has_its_line(place: Path) -> None:
    org = place / "orgs" / "specialists" / "ORG.md"
    org.write_text(org.read_text().replace("[optimizer]", "[optimiser]"))
    line = next(i for i, text in enumerate(org.read_text().splitlines(), 1) if "optimiser" in text)
    done = metaloop("run", "orgs/specialists", cwd=place)
    assert done.returncode == 2
    assert f"orgs/specialists/ORG.md:{line}:" in done.stderr
    assert "did you mean 'optimizer'" in done.stderr


def test_a_brain_that_does_not_exist_is_refused_before_anything_starts(place: Path) -> None:
    org = place / "orgs" / "tpe" / "ORG.md"
    org.write_text(org.read_text().replace("model: scripted", "model: gpt-9"))
    done = metaloop("run", "orgs/tpe", cwd=place)
    assert done.returncode == 2
    assert "gpt-9" in done.stderr
    assert not (place / "runs").exists()


@pytest.mark.slow
def test_more_devices_than_there_are_leaves_nothing_behind(place: Path) -> None:
    terms = ["--devices", "4000", "--preset", "cpu-micro", "--no-mlflow", "--out", "too-many"]
    done = metaloop("run", "orgs/no-op", *terms, cwd=place)
    assert done.returncode == 2
    assert "asked for 4000 devices, but there are" in done.stderr
    assert not (place / "too-many").exists()


def test_json_of_check_is_one_object(place: Path) -> None:
    done = metaloop("check", "--json", cwd=place)
    assert isinstance(json.loads(done.stdout), dict)
