"""``--json``: the schemas in docs/ are current, every command has one, and what is printed is what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

from metaloop.edges.cli import COMMANDS, cli
from metaloop.edges.schemas import main, outputs, schema_of
from metaloop.execution.recording.table import read_provenance, read_table, write_table
from metaloop.execution.trainer import TrainerSpec, describe

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "docs" / "schemas"
RECORDED = ROOT / "metaloop" / "execution" / "recording" / "data" / "cpu-tiny.parquet"
CODE = "from metaloop.edges.cli import main; main()"
ORGS = ("orgs/solo-greedy", "orgs/no-op")
SIZES = ("--backend", "sim", "--gpu-hours", "0.002", "--confirm-pairs", "2", "--no-mlflow")
SMALL = (
    "--generations",
    "1",
    "--population",
    "2",
    "--opening-blocks",
    "2",
    "--inner-blocks",
    "12",
    "--final-seeds",
    "2",
)
SMALL += ("--unseen-seeds", "2", "--short-seeds", "0", "--long-seeds", "0", "--processes", "1")


def strict(schema: Any) -> Any:
    """The schema, with every object closed and complete: a field more or less than documented is an error."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(part) for key, part in schema.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made |= {"required": list(made["properties"]), "additionalProperties": False}
    return made


def check(name: str, printed: Any) -> None:
    jsonschema.Draft202012Validator(strict(schema_of(name))).validate(printed)


def metaloop(*arguments: str, cwd: Path = ROOT) -> Any:
    command = [sys.executable, "-c", CODE, *arguments, "--json"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_schemas_in_the_documentation_are_current(tmp_path: Path) -> None:
    main(tmp_path)
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {path.name: path.read_text() for path in SCHEMAS.iterdir()} == written, (
        "make them anew: python -m metaloop.edges.schemas docs/schemas"
    )


@pytest.mark.parametrize("name", outputs())
def test_a_schema_is_one(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))


def test_every_command_that_prints_json_has_a_schema() -> None:
    documented = " ".join(commands for commands, _ in outputs().values())
    printing = sorted(_printing(cli.get_command(click.Context(cli), name), name) for name in COMMANDS)
    named = [name for names in printing for name in names]
    assert len(named) >= 11
    assert [name for name in named if name not in documented] == []


def _printing(command: click.Command | None, name: str) -> list[str]:
    """The command, or those of its sub-commands, that have ``--json``."""
    if isinstance(command, click.Group):
        return [n for sub, child in command.commands.items() for n in _printing(child, f"{name} {sub}")]
    assert command is not None
    return [name] if any("--json" in parameter.opts for parameter in command.params) else []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("check", ("check",)),
        ("role", ("role", "show", "local-proposer", "--org", "daily-standup")),
        ("role", ("role", "show", "director")),
        ("cluster", ("cluster", "spot")),
        ("clusters", ("cluster",)),
        ("cluster-fields", ("cluster", "--fields")),
        ("evolve-plan", ("evolve", *ORGS, "--dry-run")),
    ],
)
def test_what_is_printed_is_what_the_schema_says(name: str, arguments: tuple[str, ...]) -> None:
    check(name, metaloop(*arguments))


def test_faults_are_printed_as_the_schema_says(tmp_path: Path) -> None:
    (tmp_path / "wrong.md").write_text("---\nname: right\n---\nProse.\n")
    command = [sys.executable, "-c", CODE, "check", "wrong.md", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    printed = json.loads(done.stdout)
    assert printed["checked"][0]["errors"]
    check("check", printed)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A simulated run's folder, and what ``run`` printed."""
    out = tmp_path_factory.mktemp("schemas") / "out"
    return out, metaloop("run", *ORGS, *SIZES, "--seeds", "2", "--out", str(out))


def test_a_run_and_what_is_made_of_it(finished: tuple[Path, Any]) -> None:
    out, printed = finished
    check("run", printed)
    assert printed["organizations"][0]["org_runs"][0]["merge_records"], "so that every record was looked at"
    check("run", metaloop("resume", str(out), "--no-mlflow"))
    check("compare", metaloop("compare", str(out)))
    check("replay", metaloop("replay", str(out / "solo-greedy" / "seed-0")))
    check("lessons", metaloop("lessons", "gather", str(out), "--out", str(out.parent / "lessons.json")))
    check("lessons", metaloop("lessons", "show", str(out.parent / "lessons.json")))
    check("idea-list", metaloop("idea", "list", str(out)))


def test_what_a_scout_sees(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "muon.md").write_text("# Muon likes larger steps\n\nTry a larger matrix_lr.\n")
    (tmp_path / "sources.yaml").write_text("sources:\n  notes: {kind: folder, address: notes}\n")
    printed = metaloop("scout", "--sources", "sources.yaml", "--query", "muon", cwd=tmp_path)
    assert printed["ideas"]
    check("scout", printed)


def test_a_missing_or_strange_field_is_found(finished: tuple[Path, Any]) -> None:
    _, printed = finished
    for wrong in ({**printed, "more": 1}, {key: value for key, value in printed.items() if key != "terms"}):
        with pytest.raises(jsonschema.ValidationError):
            check("run", wrong)


@pytest.mark.long
def test_an_evolution(tmp_path: Path) -> None:
    out = str(tmp_path / "evolved")
    check("evolve", metaloop("evolve", *ORGS, *SIZES, *SMALL, "--out", out))
    check("evolve", metaloop("resume", out, "--no-mlflow"))


@pytest.mark.long
def test_worlds_compared_and_measured(finished: tuple[Path, Any], tmp_path: Path) -> None:
    """A simulated run stands for the real one: what it is made of has the same shape."""
    real = ("--real", str(finished[0]))
    check("fidelity", metaloop("fidelity", *real, "--sim-seeds", "2", "--out", str(tmp_path / "f")))
    check("calibrate-timing", metaloop("calibrate", *real, "--timing-only", "--out", str(tmp_path / "t")))


@pytest.mark.long
def test_a_recording(tmp_path: Path) -> None:
    table = tmp_path / "more.jsonl"
    sizes = ("--trainings", "2", "--devices", "1", "--preset", "cpu-micro")
    check("record", metaloop("record", *sizes, "--out", str(table)))


@pytest.mark.long
def test_a_calibration(finished: tuple[Path, Any], tmp_path: Path) -> None:
    """On a few of the shipped trainings: the shape is the same, and the fit is quick."""
    space = describe(TrainerSpec("nanogpt", "cpu-tiny", "stdlib")).space
    few = tmp_path / "few.parquet"
    write_table(few, read_table(RECORDED, space)[:300], space, read_provenance(RECORDED))
    arguments = ("--real", str(finished[0]), "--recording", str(few), "--folds", "0", "--out", str(tmp_path / "c"))
    check("calibrate", metaloop("calibrate", *arguments))
