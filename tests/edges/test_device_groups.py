"""Several devices to a training, from the command line: what is refused before anything starts, and one real run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metaloop.actors.state import replay
from metaloop.edges.cli import main
from metaloop.edges.device_groups import check_alone, check_edits
from metaloop.edges.evolution.real import most_hours
from metaloop.edges.evolution.terms import evolution_terms
from metaloop.edges.report.story import tell
from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.files import journal
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import Confirmation, RunFolder, read_lines
from metaloop.meta.evolution.races import org_run_hours
from metaloop.meta.measure import measure_run
from metaloop.meta.watching import SILENCE_S, Watch
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import UsageError
from tests import invariant_checks as checks
from tests.meta.synthetic_run import PROFILES, write_run
from tests.processes import family, wait_until

ROOT = Path(__file__).resolve().parents[2]
ORG = str(ROOT / "orgs" / "solo-greedy")
PATIENCE_S = 240.0


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "metaloop", *arguments]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


REFUSED = {
    "no multiple": (
        ["run", ORG, "--devices", "6", "--devices-per-experiment", "4"],
        "--devices 6 cannot be parted into groups of 4 (--devices-per-experiment 4), expected a multiple. Ask for 4 or "
        "8.",
    ),
    "more than there are": (["run", ORG, "--devices-per-experiment", "4"], "Ask for 4."),
    "a simulated cluster": (
        ["run", ORG, "--backend", "sim", "--devices-per-experiment", "2"],
        "--devices-per-experiment 2 needs real trainings, got surrogate, which was recorded on one device.",
    ),
    "a simulated trainer": (
        ["run", ORG, "--trainer", "h100-5min", "--devices-per-experiment", "2"],
        "needs real trainings, got h100-5min",
    ),
    "a part of a GPU": (
        ["run", ORG, "--devices-per-experiment", "2", "--devices-per-gpu", "2"],
        "--devices-per-experiment 2 gives a training several GPUs, and --devices-per-gpu 2 a part of one.",
    ),
    "an evolution": (["evolve", ORG, "--backend", "sim", "--devices-per-experiment", "2"], "needs real trainings"),
    "calibration": (["calibrate", ORG, "--devices-per-experiment", "2"], "simulated trainings have one device each"),
    "fidelity": (["fidelity", ORG, "--devices-per-experiment", "2"], "simulated trainings have one device each"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_refused_before_anything_starts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, said = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["metaloop", *arguments, "--out", "out"])
    with pytest.raises(SystemExit) as ended:
        main()
    errors = capsys.readouterr().err
    assert (ended.value.code, errors.count("\n")) == (2, 1), errors
    assert said in errors
    assert not (tmp_path / "out").exists()


def test_who_edits_code_has_one_device_to_a_training() -> None:
    found = load_organization(ROOT / "orgs" / "solo-greedy")
    editor = msgspec.structs.replace(found.members[0], edits=True, brain="some-agent")
    editing = msgspec.structs.replace(found, members=(editor,))
    check_edits(editing, 1)
    check_edits(found, 2)
    with pytest.raises(UsageError, match=f"{editor.name} changes source code, .* got --devices-per-experiment 2"):
        check_edits(editing, 2)
    check_alone(1)
    with pytest.raises(UsageError, match="these real ones 4"):
        check_alone(4)


def grouped(tmp_path: Path, together: int) -> RunFolder:
    """A run's folder as if each of its devices had been a group of so many."""
    folder = write_run(tmp_path / "run", PROFILES[:1])
    terms = folder.read_terms()
    changed = msgspec.structs.replace(
        terms, devices=terms.devices * together, devices_per_experiment=together, gpu_hours=terms.gpu_hours * together
    )
    folder.terms.write_bytes(msgspec.json.encode(changed))
    path = folder.org_run("solo-greedy", 0).journal
    first, *rest = journal.read(path)
    assert isinstance(first, ev.RunStarted)
    first = msgspec.structs.replace(first, devices_per_experiment=together, budget_s=first.budget_s * together)
    path.write_bytes(b"\n".join(journal.encode(event).strip() for event in (first, *rest)) + b"\n")
    return folder


def test_everybody_who_counts_device_time_counts_all_devices(tmp_path: Path) -> None:
    single = measure_run(grouped(tmp_path / "single", 1).path).organizations[0].org_runs[0]
    folder = grouped(tmp_path / "grouped", 4)
    events = journal.read(folder.org_run("solo-greedy", 0).journal)
    run = measure_run(folder.path).organizations[0].org_runs[0]
    assert run.gpu_hours == pytest.approx(4 * single.gpu_hours)
    assert run.utilization == pytest.approx(single.utilization)
    assert sum(w.seconds for w in run.waiting) == pytest.approx(4 * sum(w.seconds for w in single.waiting))
    now = Watch(folder.path, SILENCE_S).look(0.0).org_runs[0]
    assert now.spent_gpu_hours == pytest.approx(run.gpu_hours)
    assert now.utilization == pytest.approx(run.utilization)
    story = tell(events)
    assert story is not None
    last = story.trainings[-1]
    assert last.gpu_hours == pytest.approx(replay(events).ledger.spent_s(last.end) / 3600, rel=0.05)
    path = folder.org_run("solo-greedy", 0).journal
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[: len(events) // 2]) + b"\n")
    now = Watch(folder.path, SILENCE_S).look(0.0).org_runs[0]
    assert now.held == 4 * len(now.devices) > 0
    assert now.busy == 4 * sum(bool(device.experiment) for device in now.devices)
    left_s = 3600 * (now.budget_gpu_hours - now.spent_gpu_hours)
    assert now.eta_s == pytest.approx(left_s / now.held, abs=0.01)


def evolution_options() -> dict[str, Any]:
    from metaloop.edges.commands.evolve import evolve_command

    arguments = [ORG, "--devices", "8", "--devices-per-experiment", "4", "--preset", "cpu-micro"]
    return {**evolve_command.make_context("evolve", arguments).params, "seeds": 1}


def test_an_evolution_simulates_as_many_trainings_at_a_time_as_there_are_real_ones() -> None:
    terms = evolution_terms(evolution_options(), ["solo-greedy"], {})
    real, inner = terms.confirmation, terms.inner.run
    assert (real.devices, real.devices_per_experiment) == (8, 4)
    assert (inner.devices, inner.devices_per_experiment) == (2, 1)
    assert {rung.run.devices_per_experiment for rung in terms.rungs} == {4}
    trainings = 2 * real.confirm_pairs
    assert most_hours(real, 3600.0) == pytest.approx(real.gpu_hours + 8 + 4 * trainings)
    assert org_run_hours(real, 3600.0) == pytest.approx(real.gpu_hours + 4 + 4 * trainings)


@pytest.mark.slow
@pytest.mark.long
def test_a_real_run_on_a_group_of_two_whose_follower_dies(tmp_path: Path) -> None:
    """Ray, two cores to each training, and a follower that is killed: replaced with its leader, paid for throughout."""
    shutil.copytree(ROOT / "orgs" / "solo-greedy", tmp_path / "orgs" / "solo-greedy")
    shutil.copytree(ROOT / "roles", tmp_path / "roles")
    terms = ["--preset", "cpu-micro", "--gpu-hours", "0.02", "--confirm-pairs", "2", "--seed", "3", "--no-mlflow"]
    devices = ["--devices", "2", "--devices-per-experiment", "2"]
    run = start("run", "orgs/solo-greedy", *terms, *devices, "--out", "run", "--json", cwd=tmp_path)
    place = RunFolder(tmp_path / "run").org_run("solo-greedy", 3)

    def count(kind: type) -> int:
        return sum(isinstance(e, kind) for e in journal.read(place.journal)) if place.journal.exists() else 0

    wait_until(lambda: count(ev.Finished) >= 3 or run.poll() is not None, PATIENCE_S, "three experiments")
    followers = family(run.pid, "metaloop.execution.nanogpt_follower")
    assert len(followers) == 1
    followers[0].kill()
    printed, errors = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, errors
    events = journal.read(place.journal)
    state, organization = replay(events), load_organization(ROOT / "orgs" / "solo-greedy")
    target = describe(TrainerSpec("nanogpt", "cpu-micro", "stdlib", devices=2))
    checks.check_time(events)
    checks.check_3_ledger(events, state, target.longest_s)
    checks.check_4_final_states(events, state)
    checks.check_5_trunk(events, state, organization, target.space)
    checks.check_6_drained(state)
    checks.check_waiting(events)
    started = events[0]
    assert isinstance(started, ev.RunStarted)
    assert (started.devices, started.devices_per_experiment) == (("cpu-0-1",), 2)
    assert count(ev.Lost) == 1, "the attempt that the follower took with it"
    result = json.loads(printed)["organizations"][0]
    (released,) = [event.t for event in events if isinstance(event, ev.Released)]
    assert result["gpu_hours"] == pytest.approx(2 * released / 3600, rel=1e-6), "one group, held throughout"
    assert result["gpu_hours"] >= 0.02
    assert result["org_runs"][0]["gain_bpb"] is not None
    confirmed = [c for c in read_lines(place.confirmations, Confirmation) if c.seconds]
    assert result["org_runs"][0]["confirmation_gpu_hours"] == pytest.approx(sum(c.seconds for c in confirmed) / 3600)
