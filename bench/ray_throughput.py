"""What the controller costs on Ray: zero-length trainings on many trainer actors, beside a bare loop of actor calls.

Usage: python bench/ray_throughput.py [--actors 8 64] [--turns 5] [--seconds 10] [--organization NAME]. Both sides run
in turns on one Ray: ``ours`` is a whole org run (surrogate trainer at pace 0, journal on disk, git record),
``bare`` a driver that keeps as many actors busy with calls that do nothing, one result at a time, as Ray's own examples
do. An experiment of ours is at least two calls (a question and a training) and its share of verdicts. With
``--profile`` one more turn of ours is profiled.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec
import psutil

from metaloop.execution.org_run import OrgRunTerms, run_org
from metaloop.execution.placement import Placement
from metaloop.execution.ray_backend import RayBackend
from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.files import journal
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import OrgRunFolder
from metaloop.meta.statistics import t_interval
from metaloop.vocabulary import events as ev
from tests.processes import TRAINER, family

ROOT = Path(__file__).resolve().parent.parent
MOST_FOR_A_CORE = 100
"""Trainer processes: beyond that, those that have nothing to do leave no time for anything else (measured: 236 idle
ones kept both cores of a machine busy for ten minutes, with 46 to 75 processes in line)."""
SPEC = TrainerSpec("surrogate", "cpu-tiny", "stdlib", pace=0.0)


class Turn(msgspec.Struct, frozen=True):
    """One turn of a side: experiments (or calls) a second, and milliseconds of the driver's CPU time for each."""

    per_s: float
    driver_ms: float


def ours(backend: RayBackend, organization: str, seconds: float, seed: int) -> Turn:
    """An org run of about so many seconds."""
    terms = OrgRunTerms(load_organization(ROOT / "orgs" / organization), seed, seconds * len(backend.devices))
    with tempfile.TemporaryDirectory() as place:
        folder = OrgRunFolder(Path(place) / "run")
        cpu = time.process_time()
        run_org(terms, folder, describe(SPEC), backend, lambda *_: None)
        cpu = time.process_time() - cpu
        events = journal.read(folder.journal)
    finished = [e for e in events if isinstance(e, ev.Finished)]
    return Turn(len(finished) / finished[-1].t, 1000 * cpu / len(finished))


def bare(backend: RayBackend, seconds: float) -> Turn:
    """The plainest loop, on the same processes: whoever has answered gets the next call."""
    ray, trainers = backend._ray, list(backend._trainers.of.values())
    cpu, began, done = time.process_time(), time.monotonic(), 0
    under_way = {trainer.alive.remote(): trainer for trainer in trainers}
    while time.monotonic() - began < seconds:
        ref = ray.wait(list(under_way), num_returns=1)[0][0]
        trainer = under_way.pop(ref)
        ray.get(ref)
        done += 1
        under_way[trainer.alive.remote()] = trainer
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    ray.get(list(under_way))
    return Turn(done / took, 1000 * cpu / done)


def memory_of_one() -> float:
    """Bytes that one trainer process has to itself."""
    sizes = [process.memory_full_info().uss for process in family(os.getpid(), TRAINER)]
    return fmean(sizes)


def compare(actors: int, given: argparse.Namespace) -> float:
    """Both sides in turns, and what came of it; returns bytes for each trainer."""
    share = Placement(cpus=min(1.0, (os.cpu_count() or 1) / actors))
    backend = RayBackend(SPEC, actors, placement=share)
    try:
        bare(backend, 2.0)
        size = memory_of_one()
        turns = []
        for seed in range(given.turns):
            pair = (ours(backend, given.organization, given.seconds, seed), bare(backend, given.seconds))
            turns.append(pair)
        if given.profile:
            profile(backend, given)
    finally:
        backend.close()
    ratio = t_interval([mine.per_s / plain.per_s for mine, plain in turns])
    cost = t_interval([mine.driver_ms for mine, _ in turns])
    print(
        f"| {actors} | {fmean(m.per_s for m, _ in turns):.0f} | {fmean(p.per_s for _, p in turns):.0f} | "
        f"{show(ratio, 2)} | {show(cost, 2)} | {fmean(p.driver_ms for _, p in turns):.2f} | {len(turns)} |",
        flush=True,
    )
    return size


def show(estimate: object, digits: int) -> str:
    """``1.23 [1.10, 1.36]``."""
    mean, ci95 = estimate.mean, estimate.ci95  # type: ignore[attr-defined]
    return f"{mean:.{digits}f}" + (f" [{ci95[0]:.{digits}f}, {ci95[1]:.{digits}f}]" if ci95 else "")


def profile(backend: RayBackend, given: argparse.Namespace) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(ours, backend, given.organization, given.seconds, 99)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actors", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--organization", default="solo-greedy")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    print("| actors | ours, experiments/s | bare, calls/s | ours/bare | driver ms an experiment | bare ms a call | n |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    each = 0.0
    for actors in given.actors:
        if actors > MOST_FOR_A_CORE * (os.cpu_count() or 1):
            print(f"| {actors} | not run: more than {MOST_FOR_A_CORE} processes for each of {os.cpu_count()} cores |")
            continue
        needed, free = actors * each, psutil.virtual_memory().available
        if needed > 0.8 * free:
            print(f"| {actors} | not run: it needs {needed / 1e9:.0f} GB of memory, {free / 1e9:.0f} are free |")
            continue
        each = compare(actors, given)


if __name__ == "__main__":
    main()
