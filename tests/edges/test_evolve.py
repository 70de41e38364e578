"""One small generation of evolve for real: Ray, nanoGPT training, Optuna, and the folder it leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from metaloop.files import journal
from metaloop.files.org_file import read_organization
from metaloop.meta.evolution import EvolutionFolder, EvolutionTerms, breed
from metaloop.meta.mutations.parametric import genome
from metaloop.vocabulary import events as ev

ROOT = Path(__file__).resolve().parents[2]


def metaloop(*arguments: str, cwd: Path) -> Any:
    code = "from metaloop.edges.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def evolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    place = tmp_path_factory.mktemp("evolve")
    terms = ["--preset", "cpu-micro", "--gpu-hours", "0.001", "--devices", "2", "--confirm-pairs", "2", "--seed", "11"]
    more = ["--population", "2", "--out", "out", "--no-mlflow", "--json"]
    return place, metaloop("evolve", str(ROOT / "orgs" / "solo-greedy"), *terms, *more, cwd=place)


@pytest.mark.slow
class TestOneGeneration:
    def test_parent_and_children_ran_on_the_same_seeds(self, evolved: tuple[Path, Any]) -> None:
        _, printed = evolved
        assert len(printed["organizations"]) == 3
        assert {tuple(o["seeds"]) for o in printed["organizations"]} == {(11,)}
        assert all(o["experiments"] >= 2 for o in printed["organizations"])

    def test_the_winner_had_the_best_holdout_gain_and_stands_whole(self, evolved: tuple[Path, Any]) -> None:
        place, printed = evolved
        gains = printed["generations"][0]["holdout_gains"]
        scored = {name: gain for name, gain in gains.items() if gain is not None}
        assert gains[printed["winner"]] == max(scored.values())
        alone = read_organization(place / printed["evolved"], library=place / "nowhere")
        assert alone.to_organization().members

    def test_children_differ_from_their_parent_in_what_the_lineage_says(self, evolved: tuple[Path, Any]) -> None:
        place, printed = evolved
        folder = EvolutionFolder(place / "out")
        for child in printed["generations"][0]["children"]:
            assert child["values"]
            written = genome(read_organization(folder.generation(1).organizations / child["name"]))
            assert {name: written[name].value for name in child["values"]} == child["values"]

    def test_resuming_a_finished_evolution_trains_nothing(self, evolved: tuple[Path, Any]) -> None:
        place, printed = evolved
        journals = sorted((place / "out").rglob("journal.jsonl"))
        before = [j.read_bytes() for j in journals]
        again = metaloop("resume", "out", "--no-mlflow", "--json", cwd=place)
        assert [j.read_bytes() for j in journals] == before
        assert again["winner"] == printed["winner"]
        assert again["organizations"] == printed["organizations"]

    def test_every_journal_ended(self, evolved: tuple[Path, Any]) -> None:
        place, _ = evolved
        for path in (place / "out").rglob("journal.jsonl"):
            assert isinstance(journal.read(path)[-1], ev.RunEnded)


def test_the_same_seed_breeds_the_same_children(tmp_path: Path) -> None:
    elite = read_organization(ROOT / "orgs" / "daily-standup")
    terms = _terms()
    first, second = (breed(elite, terms, 1, []) for _ in range(2))
    assert first == second
    assert breed(elite, terms, 2, []) != first
    assert len({json.dumps(c.values, sort_keys=True) for c in first}) == len(first)
    assert all(1 <= len(c.values) <= terms.mutations for c in first)


def _terms() -> EvolutionTerms:
    from metaloop.files.run_folder import RunTerms

    run = RunTerms((), "ray", "nanogpt", "cpu-micro", "stdlib", 0.01, 2, 5, 1, 2, "0", "")
    return EvolutionTerms("daily-standup", "daily-standup", 1, 4, 3, run)
