"""``metaloop compare``: one table or one JSON object over run folders."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from metaloop.edges.commands.compare import compare_command
from metaloop.edges.leaderboard import Leaderboard, run_folders
from metaloop.edges.leaderboard_cells import plus_minus
from metaloop.files import journal
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import UsageError
from tests.meta.synthetic_run import PROFILES, Profile, write_run


def run(*arguments: str) -> Result:
    return CliRunner().invoke(compare_command, list(arguments))


def test_json_is_one_object_with_the_promised_fields(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", seeds=2)
    result = run(str(folder.path), "--json")
    assert result.exit_code == 0
    board = json.loads(result.stdout)
    best = board["organizations"][0]
    promised = ("name", "seeds", "gain_bpb", "gain_ci95", "gain_per_gpu_hour", "gpu_hours", "utilization")
    promised += ("experiments", "merges", "false_merges", "tokens", "usd")
    assert set(promised) <= set(best)
    assert best["name"] == "daily-standup"
    assert best["seeds"] == [0, 1]
    assert best["gain_ci95"][0] <= best["gain_bpb"] <= best["gain_ci95"][1]
    assert msgspec.json.decode(result.stdout, type=Leaderboard).warnings == ()


def test_the_table_marks_controls_and_says_over_what_intervals_are(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    result = run(str(folder.path))
    lines = result.stdout.splitlines()
    assert any("solo-greedy control" in line for line in lines)
    assert any("no-op control" in line and "+0.0000 ± 0.0000" in line for line in lines)
    assert "95 % t interval over pairs" in result.stdout
    assert "the strongest control" in result.stdout
    assert all(len(line) <= 160 for line in lines)


def test_several_folders_are_one_ranking_and_unequal_terms_are_told(tmp_path: Path) -> None:
    first = write_run(tmp_path / "monday", PROFILES[:2])
    second = write_run(tmp_path / "tuesday", (PROFILES[0], Profile("tinkerers", 0.4)))
    terms = second.read_terms()
    second.terms.write_bytes(msgspec.json.encode(msgspec.structs.replace(terms, devices=8)))
    result = run(str(first.path), str(second.path))
    assert result.exit_code == 0
    for name in ("solo-greedy (monday)", "solo-greedy (tuesday)", "tinkerers", "no-op"):
        assert name in result.stdout
    assert "the folders differ in devices: 2, 8" in result.stderr
    assert "hardware" not in result.stderr


def test_org_runs_on_different_hardware_are_told(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", PROFILES[:2], seeds=2)
    names = folder.read_terms().organizations
    for name, seed, hardware in ((names[0], 0, "H100"), (names[0], 1, "H100"), (names[1], 0, "A100")):
        log = journal.FileJournal(folder.org_run(name, seed).journal)
        log.append(ev.Equipped(0.0, {"gpu-0": hardware, "gpu-1": hardware}))
        log.close()
    result = run(str(folder.path))
    assert "not all on the same hardware, so that their gains are not on equal terms: 1 on A100; 2 on H100." in (
        " ".join(result.stderr.split())
    )
    assert "trained on A100, H100" in result.stdout
    board = json.loads(run(str(folder.path), "--json").stdout)
    assert {tuple(r["hardware"]) for o in board["organizations"] for r in o["org_runs"]} == {("A100",), ("H100",), ()}


def test_unfinished_runs_are_shown_as_far_as_they_are(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", PROFILES[:2], ended=False)
    result = run(str(folder.path))
    assert result.exit_code == 0
    assert "not finished or not confirmed yet: no-op" in result.stdout


def test_an_evolution_is_compared_by_its_generations_and_other_folders_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "evolution" / "generation-1", PROFILES[:1])
    write_run(tmp_path / "evolution" / "generation-2", PROFILES[:1])
    assert [f.name for f in run_folders(tmp_path / "evolution")] == ["generation-1", "generation-2"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no run\.json"):
        run_folders(tmp_path / "empty")


def test_values_without_interval_or_without_value() -> None:
    assert plus_minus(0.5, (0.25, 0.75)) == "+0.5000 ± 0.2500"
    assert plus_minus(-0.5, None) == "-0.5000"
    assert plus_minus(None, None) == "–"
