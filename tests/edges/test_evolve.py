"""``metaloop evolve`` as people use it: the plan, one in the simulator, killed and resumed, one on real trainings."""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from metaloop.edges.tracking.evolution import evolution_images
from metaloop.files import journal
from metaloop.files.org_file import read_organization
from metaloop.files.run_folder import read_lines
from metaloop.meta.evolution.terms import Measured
from metaloop.vocabulary import events as ev

ROOT = Path(__file__).resolve().parents[2]
CODE = "from metaloop.edges.cli import main; main()"
SEEDS = [str(ROOT / "orgs" / name) for name in ("solo-greedy", "daily-standup")]
SMALL = [*SEEDS, "--control", str(ROOT / "orgs" / "random-search"), "--generations", "1", "--population", "3"]
SMALL += ["--opening-blocks", "2", "--inner-blocks", "12", "--final-seeds", "2", "--unseen-seeds", "2"]
SMALL += ["--short-seeds", "2", "--long-seeds", "0", "--finalists", "1", "--no-mlflow", "--json"]
SIMULATED = [*SMALL, "--backend", "sim", "--processes", "1"]


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CODE, *arguments]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def metaloop(*arguments: str, cwd: Path) -> Any:
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    return json.loads(out)


def refused(*arguments: str, cwd: Path) -> str:
    process = start(*arguments, cwd=cwd)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert "Traceback" not in err
    return err


def told(results: dict[str, Any]) -> dict[str, Any]:
    """Results without what says where and by which command."""
    terms = {key: value for key, value in results["terms"].items() if key != "command"}
    runs = ("inner", "confirmation", "unseen")
    terms |= {name: {**terms[name], "command": ""} for name in runs if "command" in terms[name]}
    terms["inner"] = {**terms["inner"], "run": {**terms["inner"]["run"], "command": ""}}
    terms["rungs"] = [{**rung, "run": {**rung["run"], "command": ""}} for rung in terms["rungs"]]
    return {**results, "terms": terms, "evolved": "", "out": ""}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    place = tmp_path_factory.mktemp("evolve")
    return place, metaloop("evolve", *SIMULATED, "--out", "whole", cwd=place)


class TestPlan:
    def test_a_dry_run_prints_the_plan_and_makes_nothing(self, tmp_path: Path) -> None:
        plan = metaloop("evolve", *SMALL, "--dry-run", "--out", "out", cwd=tmp_path)
        stages = {stage["name"]: stage for stage in plan["stages"]}
        assert list(stages) == ["opening", "inner", "short", "confirmation", "half", "simulated", "unseen"]
        assert stages["confirmation"]["org_runs"] == 2 * 4  # winner, parent, and two controls that can gain
        assert plan["gpu_hours"] == pytest.approx(sum(stage["gpu_hours"] for stage in plan["stages"]))
        assert plan["max_gpu_hours"] > plan["gpu_hours"] > 0
        assert not list(tmp_path.iterdir())

    def test_a_described_cluster_is_for_the_simulated_stages(self, tmp_path: Path) -> None:
        plan = metaloop("evolve", *SMALL, "--dry-run", "--cluster", "spot", cwd=tmp_path)
        assert plan["gpu_hours"] > 0

    def test_a_budget_that_pays_for_no_org_run_is_refused(self, tmp_path: Path) -> None:
        assert "--max-gpu-hours 0.001" in refused("evolve", *SMALL, "--max-gpu-hours", "0.001", cwd=tmp_path)

    def test_a_broken_seed_organization_is_refused_before_anything_is_spent(self, tmp_path: Path) -> None:
        broken = tmp_path / "orgs" / "broken"
        broken.mkdir(parents=True)
        text = (ROOT / "orgs" / "solo-greedy" / "ORG.md").read_text()
        (broken / "ORG.md").write_text(
            text.replace("name: solo-greedy", "name: broken").replace("quorum: 0", "quorum: -1")
        )
        error = refused("evolve", str(broken), "--control", SEEDS[0], "--out", "out", cwd=tmp_path)
        assert "ORG.md:" in error
        assert "quorum" in error
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
class TestSimulated:
    def test_it_ends_with_an_organization_that_stands_alone(self, simulated: tuple[Path, Any]) -> None:
        place, results = simulated
        evolved = read_organization(place / results["evolved"], library=place / "nowhere")
        assert evolved.name == "evolved"
        assert evolved.to_organization().members
        assert results["winner"] in {born["name"] for born in results["lineage"]}

    def test_every_stage_was_measured_and_no_real_hour_spent(self, simulated: tuple[Path, Any]) -> None:
        _, results = simulated
        assert all(count > 0 for count in results["org_runs"].values())
        assert (results["gpu_hours"], results["ran_out"]) == (0.0, False)

    def test_trials_are_shown_by_the_gain_of_the_world_that_all_were_in(self, simulated: tuple[Path, Any]) -> None:
        place, results = simulated
        trials = [i for i in evolution_images(place / "whole") if i.tags["level"] == "organization"]
        scores: dict[str, list[float]] = {}
        for each in read_lines(place / "whole" / "measured.jsonl", Measured):
            if each.stage in ("opening", results["terms"]["inner"]["name"]) and each.score is not None:
                scores.setdefault(each.name, []).append(each.score)
        shown = {i.name: i.series["gain_bpb"][0].value for i in trials if "gain_bpb" in i.series}
        assert shown == {name: pytest.approx(statistics.fmean(found), rel=1e-5) for name, found in scores.items()}
        assert len(shown) > len(SEEDS)
        assert not any("real_gain_bpb" in i.series for i in trials)

    def test_a_second_one_is_refused_its_folder(self, simulated: tuple[Path, Any]) -> None:
        place, _ = simulated
        assert "already holds an evolution" in refused("evolve", *SIMULATED, "--out", "whole", cwd=place)

    @pytest.mark.long
    def test_killed_five_times_it_ends_the_same(self, simulated: tuple[Path, Any]) -> None:
        place, whole = simulated
        rng = random.Random(1)
        process = start("evolve", *SIMULATED, "--out", "killed", cwd=place)
        killed = 0
        for _ in range(5):
            time.sleep(rng.uniform(1.0, 6.0))
            killed += process.poll() is None
            os.kill(process.pid, signal.SIGKILL) if process.poll() is None else None
            process.communicate()
            again = "resume" if (place / "killed" / "evolution.json").exists() else "evolve"
            arguments = ["killed", "--no-mlflow", "--json"] if again == "resume" else [*SIMULATED, "--out", "killed"]
            process = start(again, *arguments, cwd=place)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert killed
        assert told(json.loads(out)) == told(whole)
        both = [read_lines(place / name / "measured.jsonl", Measured) for name in ("whole", "killed")]
        assert sorted(both[0], key=str) == sorted(both[1], key=str)


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    place = tmp_path_factory.mktemp("real")
    terms = [
        "--preset",
        "cpu-micro",
        "--gpu-hours",
        "0.001",
        "--devices",
        "1",
        "--lanes",
        "2",
        "--confirm-pairs",
        "2",
    ]
    return place, metaloop("evolve", *SMALL, *terms, "--seed", "11", "--out", "out", cwd=place)


@pytest.mark.long
class TestReal:
    """One generation bred in the simulator, raced and confirmed on real trainings under Ray."""

    def test_real_hours_were_spent_within_the_limit(self, evolved: tuple[Path, Any]) -> None:
        _, results = evolved
        spent = results["gpu_hours"] + results["harness_gpu_hours"]
        assert 0 < spent <= results["terms"]["max_gpu_hours"]
        assert not results["ran_out"]

    def test_the_folder_of_each_real_stage_is_that_of_a_run(self, evolved: tuple[Path, Any]) -> None:
        place, results = evolved
        journals = list((place / "out" / "confirmation").rglob("journal.jsonl"))
        assert len(journals) == 2 * len(results["scores"]["confirmation"]["scores"])
        for path in (place / "out").rglob("journal.jsonl"):
            assert isinstance(journal.read(path)[-1], ev.RunEnded)
        compared = metaloop("compare", "out/confirmation", "--json", cwd=place)
        assert all(o["gain_bpb"] is not None for o in compared["organizations"])

    def test_resuming_it_trains_nothing(self, evolved: tuple[Path, Any]) -> None:
        place, printed = evolved
        journals = sorted((place / "out").rglob("*.jsonl"))
        before = [j.read_bytes() for j in journals]
        again = metaloop("resume", "out", "--no-mlflow", "--json", cwd=place)
        assert [j.read_bytes() for j in journals] == before
        assert again == printed
