"""The main job for real, and everything that can die in it: Ray, nanoGPT training, git, the command line.

One run is made for the whole module: while it works, a trainer and a role actor are killed; then the whole process
tree is killed with SIGKILL; then `metaloop resume` finishes it.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from metaloop.actors.state import replay
from metaloop.files import journal
from metaloop.files.repository import Repository
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, read_lines
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import TRUNK
from metaloop.vocabulary.seeds import confirmation_seed, training_seed

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SEED = 7
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Story:
    """What happened to the run of this module."""

    out: Path
    printed: dict[str, Any]
    printed_before: str
    before: list[ev.Event]
    after: list[ev.Event]

    @property
    def org_run(self) -> OrgRunFolder:
        return RunFolder(self.out).org_run("solo-greedy", SEED)


def metaloop(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    code = "from metaloop.edges.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Any, process: subprocess.Popen[str], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, f"ended before {what}: {process.communicate()[1]}"
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def kill_one(process: subprocess.Popen[str], title: str) -> None:
    victims = [p for p in psutil.Process(process.pid).children(recursive=True) if title in " ".join(p.cmdline())]
    assert victims, f"no process {title}"
    victims[0].send_signal(signal.SIGKILL)


def kill_all(process: subprocess.Popen[str]) -> None:
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    place = tmp_path_factory.mktemp("e2e")
    out = place / "run"
    org_run = RunFolder(out).org_run("solo-greedy", SEED)

    def events() -> list[ev.Event]:
        return journal.read(org_run.journal) if org_run.journal.exists() else []

    def count(kind: type) -> int:
        return sum(isinstance(event, kind) for event in events())

    organizations = [str(ROOT / "orgs" / name) for name in ("solo-greedy", "no-op")]
    terms = ["--preset", "cpu-micro", "--devices", "2", "--gpu-hours", "0.01", "--seed", str(SEED), "--confirm-pairs"]
    run = metaloop("run", *organizations, *terms, "3", "--out", str(out), "--no-mlflow", "--json", cwd=place)
    wait_for(lambda: count(ev.Finished) >= 4, run, "four experiments")
    kill_one(run, "ray::TrainerProcess")
    wait_for(lambda: count(ev.Lost) >= 1, run, "the lost device to be noticed")
    kill_one(run, "ray::RoleProcess")
    wait_for(lambda: count(ev.ActorDied) >= 1, run, "the dead member to be noticed")
    seen = count(ev.Finished)
    wait_for(lambda: count(ev.Finished) >= seen + 3, run, "work to go on")
    # Right after a result, a device that was killed before may be all that is missing for the next one to begin.
    wait_for(lambda: bool(replay(events()).running), run, "something to be in training")
    kill_all(run)
    assert run.stdout is not None
    printed_before = run.stdout.read()
    before = events()
    resumed = metaloop("resume", str(out), "--no-mlflow", "--json", cwd=place)
    printed, errors = resumed.communicate(timeout=PATIENCE_S * 2)
    assert resumed.returncode == 0, errors
    return Story(out, json.loads(printed), printed_before, before, events())


def test_the_run_went_on_where_it_was_killed(story: Story) -> None:
    assert story.after[: len(story.before)] == story.before
    assert isinstance(story.after[len(story.before)], ev.Interrupted)
    assert isinstance(story.after[-1], ev.RunEnded)


def test_nothing_finished_was_paid_again(story: Story) -> None:
    done = {e.experiment for e in story.before if isinstance(e, ev.Finished)}
    later = story.after[len(story.before) :]
    assert len(done) >= 7
    assert not done & {e.experiment for e in later if isinstance(e, ev.Started)}
    finals = Counter(e.experiment for e in story.after if isinstance(e, ev.Finished | ev.Dropped))
    queued = [e.experiment.id for e in story.after if isinstance(e, ev.Queued)]
    assert sorted(finals) == sorted(queued)
    assert set(finals.values()) == {1}


def test_what_was_in_flight_was_charged_and_trained_again(story: Story) -> None:
    flying = set(replay(story.before).running.values())
    later = story.after[len(story.before) :]
    assert flying
    assert flying <= {e.experiment for e in later if isinstance(e, ev.Started | ev.Dropped)}
    lost = [e for e in later if isinstance(e, ev.Lost)]
    assert {e.experiment for e in lost} == flying


def test_the_killed_device_s_experiment_was_rerun_once(story: Story) -> None:
    lost = [e.experiment for e in story.before if isinstance(e, ev.Lost)]
    attempts = [e.attempt for e in story.after if isinstance(e, ev.Started) and e.experiment == lost[0]]
    assert attempts[:2] == [1, 2]


def test_the_ledger_equals_an_independent_count(story: Story) -> None:
    held: dict[str, float] = {}
    total = 0.0
    for event in story.after:
        if isinstance(event, ev.Reserved):
            held[event.device] = event.t
        elif isinstance(event, ev.Released):
            total += event.t - held.pop(event.device)
        elif isinstance(event, ev.Interrupted):
            total += sum(event.t - since for since in held.values())
            held.clear()
    state = replay(story.after)
    assert state.ledger.spent_s(state.now) == pytest.approx(total)
    printed = next(o for o in story.printed["organizations"] if o["name"] == "solo-greedy")
    assert printed["gpu_hours"] == pytest.approx(total / 3600)


def test_git_holds_the_journal_s_merges_in_order(story: Story) -> None:
    merged = [e.commit for e in story.after if isinstance(e, ev.Merged) and e.branch == TRUNK]
    repository = Repository(story.org_run.repository)
    assert repository.trunk_ids()[1:] == merged
    assert merged
    last = [e for e in story.after if isinstance(e, ev.Merged)][-1]
    text = repository.read("main", "knobs.yaml")
    for name, value in last.config.items():
        assert f"{name}: {json.dumps(value)}" in text


def test_confirmation_used_seeds_that_no_member_saw(story: Story) -> None:
    confirmations = read_lines(story.org_run.confirmations, Confirmation)
    assert {c.seed for c in confirmations} == {confirmation_seed(SEED, pair) for pair in range(3)}
    assert not {c.seed for c in confirmations} & {training_seed(SEED, r) for r in range(100)}
    assert all(set(c.bpb) == {"holdout", "confirm"} for c in confirmations if c.state == "ok")
    experiments = [e for e in story.after if isinstance(e, ev.Finished) and e.result.state == "ok"]
    assert all(set(e.result.bpb) == {"val"} for e in experiments)


def test_json_is_one_object_with_what_others_rely_on(story: Story) -> None:
    names = [o["name"] for o in story.printed["organizations"]]
    assert sorted(names) == ["no-op", "solo-greedy"]
    for entry in story.printed["organizations"]:
        assert entry["seeds"] == [SEED]
        low, high = entry["gain_ci95"]
        assert low <= entry["gain_bpb"] <= high
        for key in ("gain_per_gpu_hour", "utilization", "experiments", "merges", "false_merges", "tokens", "usd"):
            assert isinstance(entry[key], int | float), key
    control = next(o for o in story.printed["organizations"] if o["name"] == "no-op")
    assert control["merges"] == 0
    assert control["gain_ci95"][0] <= 0 <= control["gain_ci95"][1]


def test_deaths_are_not_reported_on_standard_output(story: Story) -> None:
    """It belongs to the one JSON object; Ray would write the deaths of processes there."""
    assert story.printed_before == ""


def test_the_report_stands_alone(story: Story) -> None:
    page = (story.out / "report.html").read_text()
    assert "solo-greedy" in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_the_same_folder_is_not_run_twice(story: Story) -> None:
    again = metaloop("run", str(ROOT / "orgs" / "no-op"), "--out", str(story.out), cwd=story.out.parent)
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 2
    assert "already holds a run" in errors
    assert "Traceback" not in errors
