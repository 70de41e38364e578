"""MLflow tracking, off the hot path: a process of its own reads the run's folder and shows it to a tracking server.

A run writes files; the tracker follows them at the lowest priority, retries while the server is down and catches up
later. Nothing it does can change a run. ``python -m metaloop.edges.tracking DIR`` brings MLflow up to date at any time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

LOG = "mlflow.log"
"""In the run's folder: what the tracker had to say."""


def tracking_uri() -> str:
    """``MLFLOW_TRACKING_URI``, or a SQLite file in the current folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"


def start_page(out: Path) -> str | None:
    """Where in the MLflow UI to look first (what follows the server's address); ``None`` before anything was sent."""
    try:
        known = json.loads((out / "mlflow.json").read_bytes())
    except (OSError, ValueError):
        return None
    view = "viewStateShareKey=metaloop-organizations"
    return f"/#/experiments/{known['experiment']}/runs?{view}" if known.get("experiment") else None


def start_tracker(out: Path) -> subprocess.Popen[bytes]:
    """Follow the run in ``out`` from now on; end it with :func:`finish_tracker`.

    The pipe on its standard input is the leash: when it closes, by intent or because this process died, the
    tracker sends what is left and ends.
    """
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "metaloop.edges.tracking", str(out), "--follow", "--leash"]
    with (out / LOG).open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)


def finish_tracker(process: subprocess.Popen[bytes], timeout: float) -> str | None:
    """Let the tracker send what is left; ``None`` if MLflow has everything, else what is wrong and how to mend it."""
    if process.stdin is not None:
        process.stdin.close()
    out = str(process.args[3]) if isinstance(process.args, list) else "DIR"
    later = f"Catch up with: python -m metaloop.edges.tracking {out}"
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"it took longer than {timeout:g} s. {later}"
    if code == 0:
        return None
    return f"{_last_line(Path(out) / LOG)} {later}"


def _last_line(log: Path) -> str:
    """The tracker's last words."""
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        return "the tracker failed."
    return next((line for line in reversed(lines) if line.strip()), "the tracker failed.")
