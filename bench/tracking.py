"""Whether a run is slowed down by MLflow, healthy or killed: real org runs beside a real server.

    python -m bench.tracking --rounds 4

Three ways in turn, on the same seeds and the same budget, one device of two cores, so that one is left for the server:
``none`` (--no-mlflow), ``healthy`` (a server that answers), ``killed`` (SIGKILL after a third of the budget, back after
two thirds). What counts is how many seconds passed for each second of training: the rest is what the run waited for.
After ``killed`` it is checked that everything is there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from metaloop.edges.tracking.images import images
from metaloop.meta.results import Results
from metaloop.meta.statistics import paired_interval, t_interval
from tests.edges.test_tracking_server import check_complete
from tests.tracking_server import TrackingServer

ROOT = Path(__file__).resolve().parent.parent
WAYS = ("none", "healthy", "killed")


@dataclass(frozen=True)
class Turn:
    """Seconds of the run beside each second of training, trainings in the budget, seconds of the whole command."""

    overhead: float
    trainings: int
    command_s: float


def turn(way: str, seed: int, hours: float) -> Turn:
    """One run with one organization."""
    with tempfile.TemporaryDirectory() as place:
        server = TrackingServer(Path(place))
        if way != "none":
            server.start()
        try:
            return _run(way, seed, hours, server, Path(place) / "run")
        finally:
            server.kill()


def _run(way: str, seed: int, hours: float, server: TrackingServer, out: Path) -> Turn:
    command = [
        sys.executable, "-m", "metaloop", "run", str(ROOT / "orgs" / "solo-greedy"), "--devices", "1", "--gpu-hours",
        str(hours), "--seed", str(seed), "--confirm-pairs", "2", "--json", "--out", str(out),
        *(["--no-mlflow"] if way == "none" else ["--mlflow", server.uri]),
    ]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=dict(os.environ))
    if way == "killed":
        _kill_for_a_third(server, out, hours * 3600 / 3)
    told, _ = process.communicate()
    took = time.monotonic() - began
    if way == "killed":
        subprocess.run(
            [sys.executable, "-m", "metaloop.edges.tracking", str(out)],
            env={**os.environ, "MLFLOW_TRACKING_URI": server.uri}, check=True,
        )  # fmt: skip
        check_complete(server.uri, out, list(images(out)))
    (organization,) = msgspec.json.decode(told, type=Results).organizations
    return Turn(1 / organization.utilization - 1, organization.experiments, took)


def _kill_for_a_third(server: TrackingServer, out: Path, third_s: float) -> None:
    alive = out / "solo-greedy"
    while not list(alive.glob("*/journal.jsonl")):
        time.sleep(0.2)
    time.sleep(third_s)
    server.kill()
    time.sleep(third_s)
    server.start()


def report(turns: Mapping[str, list[Turn]]) -> None:
    """Print the table, and what the server cost."""
    print("| MLflow | seconds beside each second of training | trainings in the budget | the whole command, s | n |")
    print("| --- | --- | --- | --- | --- |")
    for way, found in turns.items():
        cells = []
        for values in ([t.overhead for t in found], [float(t.trainings) for t in found], [t.command_s for t in found]):
            estimate = t_interval(values)
            low, high = estimate.ci95 or (estimate.mean, estimate.mean)
            cells.append(f"{estimate.mean:.4g} [{low:.4g}, {high:.4g}]")
        print(f"| {way} | {' | '.join(cells)} | {len(found)} |")
    for way in WAYS[1:]:
        more = paired_interval([t.overhead for t in turns[way]], [t.overhead for t in turns["none"]])
        print(f"{way} against none: {more.mean:+.4f} {more.ci95} seconds beside each second of training")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--gpu-hours", type=float, default=0.0125)
    given = parser.parse_args()
    turns: dict[str, list[Turn]] = {way: [] for way in WAYS}
    for seed in range(given.rounds):
        for way in WAYS:
            turns[way].append(turn(way, seed, given.gpu_hours))
            print(f"seed {seed}, {way}: {turns[way][-1]}", file=sys.stderr, flush=True)
    report(turns)


if __name__ == "__main__":
    main()
