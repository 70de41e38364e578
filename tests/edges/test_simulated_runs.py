"""The command line on the simulator: runs, clusters, fidelity, refusals; everything but the trainings is real."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metaloop.edges.cli import cli
from metaloop.files import journal
from metaloop.files.repository import Repository
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import MetaloopError

ROOT = Path(__file__).resolve().parents[2]
ORGS = [str(ROOT / "orgs" / name) for name in ("solo-greedy", "random-search", "no-op")]
SMALL = ["--backend", "sim", "--gpu-hours", "0.01", "--confirm-pairs", "2", "--no-mlflow", "--json"]


def metaloop(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_a_simulated_run_has_all_that_a_real_one_has(tmp_path: Path) -> None:
    out = tmp_path / "run"
    printed = json.loads(metaloop("run", *ORGS, *SMALL, "--seeds", "2", "--out", str(out)).stdout)
    assert {o["name"] for o in printed["organizations"]} == {"solo-greedy", "random-search", "no-op"}
    assert printed["terms"]["cluster"]["name"] == "laptop"
    best = printed["organizations"][0]
    assert best["gain_bpb"] > 0
    assert 0.9 < best["utilization"] <= 1
    assert best["org_runs"][0]["waiting"]
    place = out / "solo-greedy" / "seed-0"
    events = journal.read(place / "journal.jsonl")
    merges = [event for event in events if isinstance(event, ev.Merged)]
    assert merges[-1].commit in Repository(place / "repo").commit_ids()
    assert "Simulated (cluster laptop)" in (out / "report.html").read_text()


def test_the_same_command_gives_the_same_journals_and_an_interrupted_one_too(tmp_path: Path) -> None:
    def hashes(out: Path) -> list[str]:
        files = sorted(out.glob("*/seed-*/journal.jsonl"))
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        metaloop("run", *ORGS[:2], *SMALL, "--cluster", "spot", "--devices", "5", "--out", str(out))
    assert len(hashes(first)) == 2
    assert hashes(first) == hashes(second)
    cut = second / "solo-greedy" / "seed-0" / "journal.jsonl"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    metaloop("resume", str(second), "--no-mlflow", "--json")
    assert hashes(first) == hashes(second)


def test_the_other_world_and_ten_thousand_devices_by_option(tmp_path: Path) -> None:
    options = ["--trainer", "h100-5min", "--devices", "50", "--gpu-hours", "10", "--data", "3"]
    printed = json.loads(metaloop("run", ORGS[0], *SMALL, *options, "--out", str(tmp_path / "run")).stdout)
    (solo,) = printed["organizations"]
    assert printed["terms"]["data"] == "3"
    assert printed["terms"]["preset"] == "h100-5min"
    assert solo["experiments"] > 100


def test_fidelity_of_the_simulator_to_itself(tmp_path: Path) -> None:
    real = tmp_path / "real"
    metaloop("run", *ORGS, *SMALL, "--seeds", "3", "--out", str(real))
    out = tmp_path / "fidelity"
    options = ["--real", str(real), "--sim-seeds", "3", "--out", str(out), "--no-mlflow", "--json"]
    printed = json.loads(metaloop("fidelity", *options).stdout)
    assert printed["tau"] == pytest.approx(1.0)
    assert printed["gain_error"] == 0.0
    assert printed["best_real"] == printed["best_simulated"]
    assert (out / "fidelity.svg").read_text().startswith("<?xml")
    assert json.loads((out / "fidelity.json").read_text()) == printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backend", "sim", "--trainer", "nanogpt"], "needs a simulated trainer, got nanogpt"),
        (["--cluster", "spot"], "Add --backend sim"),
        (["--backend", "sim", "--cluster", "nowhere"], "there is no cluster 'nowhere'"),
        (["--backend", "sim", "--data", "gone.npz"], "gone.npz"),
        (["--backend", "sim", "--trainer", "h100-5min", "--data", "many"], "many"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    out = tmp_path / "run"
    with pytest.raises(Exception, match=said) as caught:
        CliRunner().invoke(cli, ["run", ORGS[0], *arguments, "--out", str(out)], catch_exceptions=False)
    assert isinstance(caught.value, MetaloopError)
    assert not out.exists()


def test_clusters_are_shown_and_checked(tmp_path: Path) -> None:
    assert "spot" in metaloop("cluster").stdout
    fields = json.loads(metaloop("cluster", "--fields", "--json").stdout)
    assert {"delays", "thinking", "hardware", "faults"} == set(fields)
    mine = tmp_path / "mine.yaml"
    mine.write_text(metaloop("cluster", "spot").stdout)
    assert "in order" in metaloop("cluster", str(mine)).stdout
    assert json.loads(metaloop("cluster", str(mine), "--json").stdout)["faults"]["restart_s"] == 60.0
