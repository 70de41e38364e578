"""An MLflow server that is killed, restarted and stopped in mid-run: the run goes on as if it were not there, and in
the end everything is there. Server, run and processes are real; trainings are surrogates that take their real time, and
leave the machine to the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaloop.edges.tracking.images import RunImage, images
from metaloop.edges.tracking.publisher import FOLDER_TAG, KEY_TAG
from tests.processes import wait_until
from tests.tracking_server import TrackingServer

pytestmark = pytest.mark.long
PATIENCE_S = 400.0
"""On a machine whose cores are all taken, Ray alone takes minutes to start."""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackingServer]:
    made = TrackingServer(tmp_path)
    made.start()
    yield made
    made.kill()


def start(out: Path, uri: str) -> subprocess.Popen[str]:
    code = "from metaloop.edges.cli import main; main()"
    terms = ["--trainer", "surrogate", "--devices", "1", "--gpu-hours", "0.014", "--confirm-pairs", "2"]
    line = [sys.executable, "-c", code, "run", str(ROOT / "orgs" / "solo-greedy"), *terms, "--out", str(out), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def in_mlflow(uri: str, out: Path) -> dict[str, Any]:
    """Runs of a folder by key; fails where one is there twice."""
    from mlflow import MlflowClient

    memory = json.loads((out / "mlflow.json").read_text())
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    tag = f"tags.`{FOLDER_TAG}` = '{memory['folder']}'"
    found = list(client.search_runs([memory["experiment"]], tag, max_results=1000))
    by_key = {run.data.tags[KEY_TAG]: run for run in found}
    assert len(by_key) == len(found), "a run was made twice"
    return by_key


def check_complete(uri: str, out: Path, expected: list[RunImage]) -> None:
    """Every run with its parameters, all points of its series once, and its end."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = in_mlflow(uri, out)
    assert sorted(found) == sorted(image.key for image in expected)
    for image in expected:
        run = found[image.key]
        assert set(image.params) <= set(run.data.params)
        assert run.info.end_time is not None
        for name, points in image.series.items():
            history = client.get_metric_history(run.info.run_id, name)
            assert sorted((m.step, m.value) for m in history) == sorted((p.step, p.value) for p in points), name


def test_a_server_that_dies_and_comes_back_has_everything_and_slows_nothing(
    server: TrackingServer, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    journal = out / "solo-greedy" / "seed-0" / "journal.jsonl"
    run = start(out, server.uri)

    def results() -> int:
        return journal.read_bytes().count(b'"type":"finished"') if journal.exists() else 0

    try:
        wait_until(lambda: results() >= 3, PATIENCE_S, "work to begin")
        server.kill()
        seen = results()
        wait_until(
            lambda: results() >= seen + 3 or run.poll() is not None, PATIENCE_S, "work to go on without a server"
        )
        server.start()
        server.stop()
        seen = results()
        wait_until(
            lambda: results() >= seen + 3 or run.poll() is not None, PATIENCE_S, "work to go on beside a hung server"
        )
        time.sleep(1.0)
        server.go_on()
        _, errors = run.communicate(timeout=240)
    finally:
        run.kill()
    assert run.returncode == 0, errors
    if "MLflow has not got everything" in errors:
        # On a busy machine, a process at the lowest priority may not catch up within the minute that it is given.
        advice = [sys.executable, "-m", "metaloop.edges.tracking", str(out)]
        assert f"python -m metaloop.edges.tracking {out}" in errors
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": server.uri}
        subprocess.run(advice, env=environment, check=True, timeout=240)
    check_complete(server.uri, out, list(images(out)))
