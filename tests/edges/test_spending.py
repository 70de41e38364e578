"""A run's limit for everything that it spends, on simulated runs: they cost no time, and their ledger is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GPU_HOURS = 0.004


def run(out: Path, *options: str) -> tuple[dict[str, Any], str]:
    code = "from metaloop.edges.cli import main; main()"
    terms = ["--backend", "sim", "--gpu-hours", str(GPU_HOURS), "--seeds", "3", "--confirm-pairs", "2", "--no-mlflow"]
    line = [sys.executable, "-c", code, "run", str(ROOT / "orgs" / "solo-greedy"), *terms, "--out", str(out), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*line, *options], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def spent(result: dict[str, Any]) -> float:
    return sum(o["gpu_hours"] + o["confirmation_gpu_hours"] for o in result["organizations"][0]["org_runs"])


@pytest.fixture(scope="module")
def unlimited(tmp_path_factory: pytest.TempPathFactory) -> float:
    return spent(run(tmp_path_factory.mktemp("spending") / "run")[0])


def test_no_org_run_begins_that_is_not_paid_for(tmp_path: Path, unlimited: float) -> None:
    most = 0.9 * unlimited * 2 / 3
    result, said = run(tmp_path / "run", "--max-gpu-hours", str(most))
    assert len(result["organizations"][0]["org_runs"]) < 3
    assert spent(result) <= most + 2 * 0.002, "what was in training may pass the limit, no more"
    assert "the run ends early: " in said


def test_a_limit_that_is_not_reached_changes_nothing(tmp_path: Path, unlimited: float) -> None:
    result, said = run(tmp_path / "run", "--max-gpu-hours", str(1.1 * unlimited))
    assert spent(result) == unlimited
    assert "ends early" not in said
