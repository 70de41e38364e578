"""Org runs side by side: the same org runs, confirmed once, within the same limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from metaloop.edges import lanes, session
from metaloop.edges.cli import cli
from metaloop.edges.commands.options import make_terms
from metaloop.edges.progress import Progress
from metaloop.edges.spending import Limit
from metaloop.files import journal
from metaloop.files.run_folder import Confirmation, RunFolder, RunTerms, read_lines
from metaloop.meta.audit import audit
from metaloop.vocabulary.errors import BackendError, BudgetSpent, UsageError

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("no-op", "solo-greedy", "tpe")
OPTIONS: dict[str, Any] = {
    "backend": "sim", "trainer": None, "preset": None, "data": None, "gpu_hours": 0.004, "devices": 2, "cluster": None,
    "devices_per_gpu": 1, "devices_per_experiment": 1, "accelerator": "", "canary_every": 0.0, "canary_tolerance": 1.25,
    "seed": 5, "seeds": 2, "confirm_pairs": 2, "pace": 1.0, "in_order": False,
}  # fmt: skip


def made(out: Path, **changed: Any) -> tuple[RunFolder, RunTerms]:
    terms = make_terms({**OPTIONS, **changed}, NAMES, {})
    return session.create(out, terms, {name: ROOT / "orgs" / name for name in NAMES}), terms


def files(folder: RunFolder, name: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder.path)): path.read_bytes() for path in folder.path.rglob(name)}


def confirmations(folder: RunFolder, terms: RunTerms) -> list[Confirmation]:
    return [
        confirmation
        for name in terms.organizations
        for seed in terms.org_run_seeds
        for confirmation in read_lines(folder.org_run(name, seed).confirmations, Confirmation)
    ]


def test_org_runs_are_what_they_are_one_after_the_other_and_nothing_is_confirmed_twice(tmp_path: Path) -> None:
    """Simulated lanes: what goes on in one cannot be seen in another."""
    (alone, terms), (beside, _) = made(tmp_path / "alone"), made(tmp_path / "beside")
    session.execute(alone, session.simulator_of(terms), Progress(quiet=True))
    lanes.execute(beside, [session.simulator_of(terms) for _ in range(3)], Progress(quiet=True))
    assert files(beside, "journal.jsonl") == files(alone, "journal.jsonl")
    assert len(files(alone, "journal.jsonl")) == 6
    ours, theirs = confirmations(beside, terms), confirmations(alone, terms)
    assert sorted((c.commit, c.pair, str(c.bpb)) for c in ours) == sorted(
        (c.commit, c.pair, str(c.bpb)) for c in theirs
    )
    assert sum(c.seconds for c in ours) == pytest.approx(sum(c.seconds for c in theirs)), "paid once"


def test_an_error_ends_what_is_under_way_first_and_begins_nothing_more(tmp_path: Path) -> None:
    folder, terms = made(tmp_path / "run")

    class Broken:
        name, devices = "broken", ("d0",)

        def host(self, _hosting: object) -> None:
            raise BackendError("no more devices")

    with pytest.raises(BackendError, match="no more devices"):
        lanes.execute(folder, [Broken(), session.simulator_of(terms)], Progress(quiet=True))  # type: ignore[list-item]
    ended = [path for path in folder.path.rglob("journal.jsonl") if b'"run_ended"' in path.read_bytes()]
    assert len(ended) <= 1
    session.execute(folder, session.simulator_of(terms), Progress(quiet=True))
    assert len(files(folder, "journal.jsonl")) == 6


def test_what_others_were_granted_is_set_apart(tmp_path: Path) -> None:
    folder, terms = made(tmp_path / "run")
    session.execute_one(folder, ("tpe", 5), session.simulator_of(terms), Progress(quiet=True), alone=nullcontext())
    granted = terms.gpu_hours
    spent = Limit(folder, terms).spent()

    def affords(most: float, busy: list[tuple[str, int]]) -> bool:
        limited = msgspec.structs.replace(terms, max_gpu_hours=most)
        return Limit(folder, limited).affords(("no-op", 5), busy)

    assert affords(spent + 2.01 * granted, [("solo-greedy", 5)])
    assert not affords(spent + 1.99 * granted, [("solo-greedy", 5)]), "the other one's grant is not there twice"
    assert affords(0.0, [("solo-greedy", 5)]), "no limit"
    assert affords(spent, []), "alone, it is told what is missing"


def test_the_whole_keeps_to_the_limit(tmp_path: Path) -> None:
    folder, terms = made(tmp_path / "run")
    limited = msgspec.structs.replace(terms, max_gpu_hours=0.0101)
    folder.terms.unlink()
    session.create(folder.path, limited, {name: ROOT / "orgs" / name for name in NAMES})
    lanes.execute(folder, [session.simulator_of(terms) for _ in range(3)], Progress(quiet=True))
    begun = list(folder.path.rglob("journal.jsonl"))
    assert 1 <= len(begun) <= 2
    with pytest.raises(BudgetSpent):
        Limit(folder, limited).check_org_run(began=False)


@pytest.mark.parametrize("options", [["--backend", "sim"], ["--max-total-tokens", "5"]])
def test_what_does_not_go_together_is_refused(tmp_path: Path, options: list[str]) -> None:
    out = tmp_path / "run"
    command = ["run", str(ROOT / "orgs/no-op"), "--lanes", "2", "--out", str(out), *options]
    result = CliRunner().invoke(cli, command)
    assert isinstance(result.exception, UsageError)
    assert "--lanes" in str(result.exception)
    assert not out.exists()


@pytest.mark.long
def test_two_real_lanes_have_equal_shares(tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = [
        sys.executable, "-m", "metaloop", "run", *(str(ROOT / "orgs" / name) for name in ("solo-greedy", "tpe")),
        "--preset", "cpu-micro", "--devices", "1", "--lanes", "2", "--gpu-hours", "0.008", "--confirm-pairs", "2",
        "--no-mlflow", "--json", "--out", str(out),
    ]  # fmt: skip
    done = subprocess.run(line, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True)
    results = json.loads(done.stdout)
    assert all(each["gain_bpb"] is not None for each in results["organizations"])
    folder = RunFolder(out)
    places = [folder.org_run(name, 0) for name in ("solo-greedy", "tpe")]
    accounts = [audit(journal.read(place.journal)) for place in places]
    assert [len(account.devices) for account in accounts] == [1, 1]
    alive = [place.alive.stat().st_mtime for place in places]
    assert abs(alive[0] - alive[1]) < 15.0, "at the same time"
    known = [c for place in places for c in read_lines(place.confirmations, Confirmation)]
    baseline = [c.seconds for c in known if not c.config]
    assert sum(seconds > 0 for seconds in baseline) == 2, "each pair's baseline was paid once, for both"
