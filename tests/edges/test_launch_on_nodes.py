"""A cluster of several nodes, its job server and its token: all real, on this machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metaloop.files import journal
from metaloop.files.repository import Repository
from metaloop.files.run_folder import RunFolder
from metaloop.meta.audit import audit
from metaloop.vocabulary import events as ev
from tests.multi_node import MultiNode, multi_node
from tests.processes import TRAINER, family

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parents[2]
SEED = 3
PATIENCE_S = 600.0
SURROGATE = ["--trainer", "surrogate", "--data", "stdlib#noiseless", "--pace", "0.02", "--in-order", "--devices", "1"]
TERMS = [*SURROGATE, "--gpu-hours", "0.0014", "--confirm-pairs", "2", "--seed", str(SEED)]
MICRO = ["--preset", "cpu-micro", "--devices", "2", "--gpu-hours", "0.03", "--confirm-pairs", "2", "--seed", str(SEED)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[MultiNode]:
    with multi_node(workers=2, accelerators=("A100", "H100")) as nodes:
        yield nodes


def start(cluster: MultiNode, *arguments: str, token: str | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "metaloop", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=cluster.environment(token), stdout=pipe, stderr=pipe, text=True)


def done(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    """What a command printed, once it has ended with ``code``."""
    printed, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, errors
    return printed, errors


def launch(cluster: MultiNode, kind: str, *arguments: str, token: str | None = None) -> subprocess.Popen[str]:
    shipping = ["--address", cluster.jobs, "--python", sys.executable, "--exclude", "tests", "--exclude", "docs"]
    return start(cluster, "launch", kind, *arguments, *shipping, token=token)


def look_after(cluster: MultiNode, *arguments: str) -> Any:
    return json.loads(done(start(cluster, "launch", *arguments, "--address", cluster.jobs, "--json"))[0])


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


def decisions(events: list[ev.Event]) -> list[tuple[Any, ...]]:
    """Everything that members decided, in order, without its time."""
    found: list[tuple[Any, ...]] = []
    for event in events:
        if isinstance(event, ev.Proposed):
            found.append(("proposed", event.proposal, event.config))
        elif isinstance(event, ev.Reviewed):
            found.append(("reviewed", event.proposal, event.actor, event.approve))
        elif isinstance(event, ev.Judged):
            found.append(("judged", event.proposal, event.actor, event.verdict, event.delta, event.reason))
        elif isinstance(event, ev.Merged):
            found.append(("merged", event.branch, event.commit, event.parent, event.config, event.delta))
    return found


def most_at_once(events: list[ev.Event]) -> int:
    """Most trainings that were under way at one time."""
    now = most = 0
    for event in events:
        now += isinstance(event, ev.Started) - isinstance(event, ev.Finished | ev.Lost)
        most = max(most, now)
    return most


def read(out: Path, name: str) -> list[ev.Event]:
    return journal.read(RunFolder(out).org_run(name, SEED).journal)


def test_two_organizations_at_once_decide_as_on_one_node(cluster: MultiNode, tmp_path: Path) -> None:
    names = ("solo-greedy", "bold-startup")
    launched = [
        launch(cluster, "run", f"orgs/{name}", *TERMS, "--out", str(tmp_path / name), "--id", name, "--json")
        for name in names
    ]
    jobs = [json.loads(done(process)[0]) for process in launched]
    assert [job["status"] for job in jobs] == ["SUCCEEDED", "SUCCEEDED"]
    assert max(job["began"] for job in jobs) < min(job["ended"] for job in jobs), "they ran one after the other"
    for name in names:
        alone = tmp_path / f"alone-{name}"
        done(start(cluster, "run", f"orgs/{name}", *TERMS, "--no-mlflow", "--out", str(alone)))
        ours, theirs = read(tmp_path / name, name), read(alone, name)
        mine, other = decisions(ours), decisions(theirs)
        # One got a little further than the other before the budget was spent.
        both = min(len(mine), len(other))
        assert both >= 60
        assert both >= 0.8 * max(len(mine), len(other))
        assert mine[:both] == other[:both]
        assert sum(isinstance(event, ev.Merged) for event in ours) >= 5
        assert most_at_once(ours) == 1
        count = audit(ours)
        longest = max(e.result.seconds for e in ours if isinstance(e, ev.Finished))
        assert count.devices == ("cpu-0",)
        assert count.allocated_s <= count.budget_s + longest + 1.0


def test_a_real_run_is_stopped_and_goes_on_from_its_mirror(cluster: MultiNode, tmp_path: Path) -> None:
    """Two trainers on two nodes, cpu-micro for real; the job's own folder is gone with the job."""
    url, place = f"file://{tmp_path / 'store'}", tmp_path / "store"
    detached = launch(cluster, "run", "orgs/solo-greedy", *MICRO, "--mirror", url, "--detach", "--json")
    job = json.loads(done(detached)[0])
    assert job["status"] in ("PENDING", "RUNNING")
    assert job["place"] == url

    def finished() -> set[str]:
        path = RunFolder(place).org_run("solo-greedy", SEED).journal
        return {e.experiment for e in journal.read(path) if isinstance(e, ev.Finished)} if path.exists() else set()

    wait_for(lambda: len(finished()) >= 2, "two mirrored experiments")
    assert job["id"] in [each["id"] for each in look_after(cluster, "status")]
    look_after(cluster, "stop", job["id"])
    wait_for(lambda: look_after(cluster, "status", job["id"])["status"] == "STOPPED", "the job to stop")
    assert "starting Ray" in done(start(cluster, "launch", "logs", job["id"], "--address", cluster.jobs))[0]
    before = read(place, "solo-greedy")
    done(launch(cluster, "resume", url))
    after = read(place, "solo-greedy")
    assert after[: len(before)] == before
    assert isinstance(after[len(before)], ev.Interrupted)
    paid = {e.experiment for e in before if isinstance(e, ev.Finished)}
    assert not paid & {e.experiment for e in after[len(before) :] if isinstance(e, ev.Started)}
    assert isinstance(after[-1], ev.RunEnded)
    assert most_at_once([e for e in after if not isinstance(e, ev.Interrupted)]) <= 4
    merged = [e.commit for e in after if isinstance(e, ev.Merged)]
    assert Repository(place / "solo-greedy" / f"seed-{SEED}" / "repo").trunk_ids()[1:] == merged
    assert json.loads((place / "results.json").read_text())["organizations"][0]["org_runs"][0]["finished"]


def test_another_token_is_one_line(cluster: MultiNode, tmp_path: Path) -> None:
    wrong = "f" * 40
    out = ["--out", str(tmp_path / "run")]
    _, errors = done(launch(cluster, "run", "orgs/no-op", *TERMS, *out, token=wrong), code=2)
    assert "asks for a token that we lack" in errors
    assert "ray get-auth-token" in errors
    attached = start(cluster, "run", "orgs/no-op", *TERMS, *out, "--address", cluster.ray, "--no-mlflow", token=wrong)
    _, errors = done(attached, code=2)
    assert "its token is another one" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "run").exists()


def test_a_full_cluster_is_one_line_and_the_job_s_exit_code_is_ours(cluster: MultiNode, tmp_path: Path) -> None:
    terms = [*TERMS[:-1], str(SEED), "--devices", "3", "--out", str(tmp_path / "run")]
    printed, errors = done(launch(cluster, "run", "orgs/no-op", *terms), code=2)
    assert "asked for 3 devices, but there are 2 (CPU)" in printed
    assert "FAILED" in errors
    assert "Traceback" not in printed + errors


def test_devices_are_on_nodes_with_the_accelerator_that_was_asked_for(cluster: MultiNode, tmp_path: Path) -> None:
    out = tmp_path / "run"
    attached = [*TERMS, "--address", cluster.ray, "--no-mlflow", "--out", str(out)]
    for accelerator, devices, reason in (
        (
            "H10",
            "1",
            "no node of this cluster has the accelerator 'H10' (did you mean 'H100'?), expected one of: A100, H",
        ),
        ("H100", "2", "asked for 2 devices, but there are 1 (CPU on nodes with H100)"),
    ):
        pinned = ["--accelerator", accelerator, "--devices", devices]
        _, errors = done(start(cluster, "run", "orgs/no-op", *attached, *pinned), code=2)
        assert reason in errors
        assert "Traceback" not in errors
    run = start(cluster, "run", "orgs/no-op", *attached, "--accelerator", "H100")
    trains = f"{TRAINER}.train"
    wait_for(lambda: bool(family(cluster.workers[1].raylet, trains)) or run.poll() is not None, "a training there")
    assert not family(cluster.workers[0].raylet, TRAINER)
    done(run)
    equipped = [event for event in read(out, "no-op") if isinstance(event, ev.Equipped)]
    assert [list(event.hardware) for event in equipped] == [["cpu-0"]]
    assert equipped[0].hardware["cpu-0"]


def test_jobs_that_do_not_exist(cluster: MultiNode) -> None:
    for command in ("status", "logs", "stop"):
        _, errors = done(start(cluster, "launch", command, "nobody", "--address", cluster.jobs), code=2)
        assert "no job 'nobody'" in errors, command


def test_run_attaches_and_prometheus_gets_its_figures(cluster: MultiNode, tmp_path: Path) -> None:
    out = tmp_path / "run"
    attached = ["--address", cluster.ray, "--no-mlflow", "--out", str(out)]
    run = start(cluster, "run", "orgs/solo-greedy", *TERMS, "--gpu-hours", "0.005", *attached)
    wait_for(lambda: scrape(cluster.metrics).get("experiments", 0) >= 3 or run.poll() is not None, "metrics")
    done(run)
    events = read(out, "solo-greedy")
    count = audit(events)
    wait_for(lambda: scrape(cluster.metrics).get("experiments") == count.experiments, "the last figures")
    seen = scrape(cluster.metrics)
    assert count.experiments >= 50
    assert seen["merges"] == sum(isinstance(event, ev.Merged) for event in events)
    assert seen["spent_gpu_hours"] == pytest.approx(count.allocated_s / 3600)
    assert seen["utilization"] == pytest.approx(count.utilization, abs=0.01)
    assert seen["best_bpb"] < 4.1


def scrape(port: int) -> dict[str, float]:
    """metaloop's figures of solo-greedy, as Prometheus would get them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        text = page.read().decode()
    figures: dict[str, float] = {}
    for name, labels, value in re.findall(r"^ray_metaloop_(\w+)\{([^}]*)\} (\S+)$", text, re.MULTILINE):
        if '"solo-greedy"' in labels:
            key = name.removesuffix("_total")
            figures[key] = figures.get(key, 0.0) + float(value)
    return figures
