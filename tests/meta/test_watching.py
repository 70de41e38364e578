"""A run's folder as it is now: against its audit and its measurement, growing, silent, resumed, large."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from metaloop.files import journal
from metaloop.files.run_folder import RunFolder
from metaloop.meta.audit import audit
from metaloop.meta.measure import measure_run
from metaloop.meta.watching import SILENCE_S, OrgRunNow, Watch
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import FileError, JournalError
from tests.meta.synthetic_run import PROFILES, write_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path / "run", PROFILES[:2], seeds=2)


def one(watch: Watch, wall: float) -> OrgRunNow:
    return next(each for each in watch.look(wall).org_runs if (each.organization, each.seed) == ("solo-greedy", 0))


def cut(run: RunFolder, share: float) -> Path:
    """A copy of the run in which solo-greedy's first org run is at ``share`` of its journal and nothing else began."""
    copy = run.path.with_name(f"cut-{share}")
    shutil.copytree(run.path, copy)
    for path in copy.glob("*/seed-*"):
        if path != copy / "solo-greedy" / "seed-0":
            shutil.rmtree(path)
    place = RunFolder(copy).org_run("solo-greedy", 0)
    place.confirmations.unlink(missing_ok=True)
    lines = place.journal.read_bytes().splitlines()
    place.journal.write_bytes(b"\n".join(lines[: int(len(lines) * share)]) + b"\n")
    return copy


def test_a_finished_run_is_what_was_measured(run: RunFolder) -> None:
    now = Watch(run.path, SILENCE_S).look(time.time())
    measured = {(r.organization, r.seed): r for o in measure_run(run.path).organizations for r in o.org_runs}
    assert now.org_runs_planned == now.org_runs_ended == len(measured) == 4
    for each in now.org_runs:
        result = measured[each.organization, each.seed]
        assert each.phase == "confirmed"
        assert each.experiments == result.experiments
        assert each.spent_gpu_hours == pytest.approx(result.gpu_hours)
        assert each.utilization == pytest.approx(result.utilization)
        assert each.tokens == result.tokens
        assert each.devices == ()
    assert now.spent_gpu_hours == pytest.approx(sum(r.gpu_hours for r in measured.values()))


def test_a_running_run_says_who_has_what(run: RunFolder) -> None:
    copy = cut(run, 0.5)
    events = journal.read(RunFolder(copy).org_run("solo-greedy", 0).journal)
    now = one(Watch(copy, SILENCE_S), time.time())
    busy: dict[str, str] = {}
    for event in events:
        if isinstance(event, ev.Started):
            busy[event.device] = event.experiment
        elif isinstance(event, ev.Finished):
            busy.pop(event.device)
    assert now.phase == "running"
    assert {d.device: d.experiment for d in now.devices if d.experiment} == busy
    assert now.busy == len(busy)
    assert [d.author for d in now.devices if d.experiment] == ["local-proposer"] * len(busy)
    assert now.spent_gpu_hours == pytest.approx(audit(events).allocated_s / 3600)
    assert now.eta_s == pytest.approx((now.budget_gpu_hours - now.spent_gpu_hours) * 3600 / len(now.devices), abs=0.01)


def test_looking_on_is_looking_anew(run: RunFolder) -> None:
    """Whatever pieces the journal came in, torn ones too."""
    copy = cut(run, 1.0)
    path = RunFolder(copy).org_run("solo-greedy", 0).journal
    whole = path.read_bytes()
    path.write_bytes(b"")
    watch, wall = Watch(copy, SILENCE_S), time.time()
    for end in range(0, len(whole) + 4999, 4999):
        with path.open("ab") as file:
            file.write(whole[end : end + 4999])
        os.utime(path, (wall, wall))
        assert watch.look(wall) == Watch(copy, SILENCE_S).look(wall)
    assert one(watch, wall).experiments > 10


def test_a_journal_that_begins_anew_is_read_anew(run: RunFolder) -> None:
    copy = cut(run, 0.9)
    path = RunFolder(copy).org_run("solo-greedy", 0).journal
    watch = Watch(copy, SILENCE_S)
    assert one(watch, time.time()).experiments > 10
    path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:12]) + b"\n")
    now = time.time()
    assert watch.look(now) == Watch(copy, SILENCE_S).look(now)


def test_a_killed_run_is_silent(run: RunFolder) -> None:
    copy = cut(run, 0.5)
    place = RunFolder(copy).org_run("solo-greedy", 0)
    watch, wall = Watch(copy, SILENCE_S), time.time()
    place.alive.write_text("1.0\n")
    os.utime(place.alive, (wall, wall))
    assert one(watch, wall + SILENCE_S - 1).phase == "running"
    silent = one(watch, wall + SILENCE_S + 1)
    assert silent.phase == "silent"
    assert silent.silent_s == pytest.approx(SILENCE_S + 1, abs=0.1)


def test_the_time_since_the_last_event_counts(run: RunFolder) -> None:
    copy = cut(run, 0.5)
    place = RunFolder(copy).org_run("solo-greedy", 0)
    before = one(Watch(copy, SILENCE_S), time.time())
    place.alive.write_text(f"{before.seconds + 7:.3f}\n")
    after = one(Watch(copy, SILENCE_S), time.time())
    held = len(before.devices)
    assert after.spent_gpu_hours - before.spent_gpu_hours == pytest.approx(7 * held / 3600, abs=1e-6)


def test_a_damaged_journal_is_named_with_its_line(run: RunFolder) -> None:
    path = RunFolder(run.path).org_run("solo-greedy", 0).journal
    watch = Watch(run.path, SILENCE_S)
    watch.look(time.time())
    lines = path.read_bytes().count(b"\n")
    with path.open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(JournalError, match=rf"journal.jsonl:{lines + 1}:"):
        watch.look(time.time())


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="Name the folder of a metaloop run"):
        Watch(tmp_path, SILENCE_S).look(time.time())


def test_a_second_look_costs_what_is_new(run: RunFolder) -> None:
    """On a journal of some ten thousand events: the first look reads it, the others do not."""
    copy = cut(run, 1.0)
    path = RunFolder(copy).org_run("solo-greedy", 0).journal
    lines = path.read_bytes().rstrip(b"\n").split(b"\n")
    idle = json.dumps({"type": "passed", "t": 1.0, "actor": "x", "reason": "r" * 50, "cost": {}}).encode()
    path.write_bytes(b"\n".join([*lines[:4], *[idle] * 20_000, *lines[4:]]) + b"\n")
    watch = Watch(copy, SILENCE_S)
    began = time.perf_counter()
    watch.look(time.time())
    first = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(10):
        watch.look(time.time())
    others = (time.perf_counter() - began) / 10
    assert others < first / 5
