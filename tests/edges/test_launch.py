"""``metaloop launch`` before anything travels: what goes, what the job is told, what is refused."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from metaloop.edges.cli import cli
from metaloop.edges.launching import prepare
from metaloop.edges.shipment import LIMIT, pack, shipped_files
from metaloop.execution.ray_jobs import Submission
from metaloop.vocabulary.errors import BackendError, MetaloopError, UsageError

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {
    "working_dir": ROOT,
    "excludes": ("tests", "docs", "bench"),
    "variables": (),
    "requirements": None,
    "python": "python",
    "name": "",
}


def prepared(kind: str, *arguments: str, scratch: Path, **options: Any) -> Submission:
    return prepare(kind, arguments, {**OPTIONS, **options}, scratch)


def lay_out(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def test_what_commands_made_does_not_travel(tmp_path: Path) -> None:
    lay_out(tmp_path, "orgs/a/ORG.md", ".git/HEAD", ".venv/bin/python", "runs/x/run.json", "m/__pycache__/a.pyc")
    lay_out(tmp_path, "data/big.bin", "data/small.txt", "notes.log", "sub/notes.log")
    names = [path.relative_to(tmp_path).as_posix() for path in shipped_files(tmp_path, ["data/*.bin", "*.log"])]
    assert names == ["data/small.txt", "orgs/a/ORG.md"]


def test_the_same_files_make_the_same_package(tmp_path: Path) -> None:
    for name in ("one", "two"):
        lay_out(tmp_path / name, "b.txt", "a.txt")
        pack(tmp_path / name, (), tmp_path / f"{name}.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.zip").namelist() == ["a.txt", "b.txt"]


def test_too_much_is_refused_and_the_largest_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, "a.txt")
    (tmp_path / "weights.bin").write_bytes(__import__("os").urandom(LIMIT))
    with pytest.raises(UsageError, match=r"more than 100 MiB.*weights\.bin \(100 MiB\).*--exclude"):
        pack(tmp_path, (), tmp_path.parent / "package.zip")


def test_the_job_runs_what_was_asked_where_it_was_shipped(tmp_path: Path) -> None:
    org = str(ROOT / "orgs" / "solo-greedy")
    job = prepared("run", org, "--devices", "4", "--out", "/shared/first", scratch=tmp_path)
    command = "python -m metaloop run orgs/solo-greedy --devices 4 --out /shared/first --no-mlflow --address auto"
    assert job.command == command
    assert job.place == "/shared/first"
    names = zipfile.ZipFile(job.package).namelist()
    assert {"orgs/solo-greedy/ORG.md", "roles/local-proposer.md", "metaloop/edges/cli.py"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", ".git", "runs/"))]


def test_a_mirror_is_a_place_too(tmp_path: Path) -> None:
    org = str(ROOT / "orgs" / "solo-greedy")
    job = prepared("evolve", org, "--mirror", "s3://bucket/evolve", scratch=tmp_path)
    assert job.place == "s3://bucket/evolve"
    assert prepared("resume", "s3://bucket/evolve", scratch=tmp_path).place == "s3://bucket/evolve"


def test_a_tracking_server_travels_and_what_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    monkeypatch.setenv("SOME_KEY", "secret")
    arguments = (str(ROOT / "orgs" / "solo-greedy"), "--out", "/shared/x")
    job = prepared("run", *arguments, scratch=tmp_path, variables=("SOME_KEY", "MODE=fast=er"))
    expected = {"MLFLOW_TRACKING_URI": "http://tracking:5000", "SOME_KEY": "secret", "MODE": "fast=er"}
    assert job.environment == expected
    assert "--no-mlflow" not in shlex.split(job.command)
    assert "secret" not in job.command


SOLO = str(ROOT / "orgs" / "solo-greedy")


@pytest.mark.parametrize(
    ("kind", "arguments", "options", "message"),
    [
        ("run", (SOLO,), {}, r"--out /shared.*--mirror"),
        ("run", (SOLO, "--out", "runs/x"), {}, r"--out runs/x would be in it"),
        ("run", ("/usr", "--out", "/s"), {}, r"/usr is not in .*--working-dir"),
        ("run", ("orgs/nobody", "--out", "/s"), {}, r"does not exist"),
        ("run", ("--out", "/s"), {}, r"no organization was named"),
        ("run", (SOLO, "--out", "/s", "--trainer", "nope"), {}, r"unknown trainer 'nope'"),
        ("run", (SOLO, "--out", "/s", "--pace", "2"), {}, r"--pace is for simulated trainers"),
        ("run", (SOLO, "--out", "/s"), {"variables": ("NO_SUCH_THING",)}, r"no such variable here"),
        ("run", (SOLO, "--out", "/s"), {"name": "a b"}, r"--id 'a b'"),
        ("resume", ("runs/x",), {}, r"a folder here, not there"),
    ],
)
def test_what_is_wrong_is_said_before_anything_travels(
    kind: str, arguments: tuple[str, ...], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(MetaloopError, match=message):
        prepared(kind, *arguments, scratch=tmp_path, **options)


def test_unknown_options_are_refused_here() -> None:
    result = CliRunner().invoke(cli, ["launch", "run", SOLO, "--out", "/s", "--gpu-hourz", "3"])
    assert result.exit_code == 2
    assert "--gpu-hourz" in result.output


def test_nobody_there_is_one_line() -> None:
    with pytest.raises(BackendError, match=r"no job server at http://127.0.0.1:9: .*dashboard"):
        CliRunner().invoke(cli, ["launch", "status", "--address", "http://127.0.0.1:9"], catch_exceptions=False)


def test_no_ray_there_is_said_at_once() -> None:
    with pytest.raises(BackendError, match=r"no Ray at 127.0.0.1:9: Connection refused"):
        CliRunner().invoke(cli, ["launch", "status", "--address", "127.0.0.1:9"], catch_exceptions=False)
