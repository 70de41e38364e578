"""Speed of the simulator: beside Syne Tune's, over experiments and devices, and in org runs per second.

Usage: python bench/sim/speed.py [--peer-python PATH] [--quick]. All figures are CPU seconds of one process on one
core (``time.process_time``), so that other work on the machine matters little; peers alternate within one sitting.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.sim.workload import RECORDED, SIDE, TableTrainer, load_table, organization, table_target  # noqa: E402
from metaloop.execution.org_run import OrgRunTerms  # noqa: E402
from metaloop.execution.simulator.backend import Simulator  # noqa: E402
from metaloop.execution.simulator.cluster import IDEAL  # noqa: E402
from metaloop.execution.simulator.run import simulate_org  # noqa: E402
from metaloop.execution.trainer import SimulatedTrainer, Target, TrainerSpec, describe, make_simulated  # noqa: E402

WORKERS = 4
TRIALS = 1000
REPEATS = 5
POINTS = (RECORDED, 50, 200)
"""Points to a curve: what the recording has, then about what lcbench (52) and nasbench201 (200) have."""
LOCAL = ("solo-greedy", "random-search", "daily-standup", "bold-startup", "careful-lab", "specialists")


def cost(name: str, target: Target, trainer: SimulatedTrainer, devices: int, budget_s: float) -> tuple[float, int]:
    """CPU seconds of one org run, and its experiments."""
    terms = OrgRunTerms(organization(name), 1, budget_s)
    backend = Simulator(trainer, devices, IDEAL)
    started = time.process_time()
    run = simulate_org(terms, target, backend)
    return time.process_time() - started, run.state.finished


def beside_syne_tune(peer: Path) -> None:
    """Random search over the same tables with the same workers, in turns; all sizes of table in one sitting."""
    print(f"random search, {TRIALS} trainings, {WORKERS} workers, us CPU each: median [least, most] of {REPEATS} turns")
    ours: dict[int, list[float]] = {points: [] for points in POINTS}
    theirs: dict[int, list[float]] = {points: [] for points in POINTS}
    tables = {points: load_table(points) for points in POINTS}
    trainers = {points: TableTrainer(table) for points, table in tables.items()}
    with tempfile.TemporaryDirectory() as folder:
        for points, table in tables.items():
            table.save(Path(folder) / f"{points}.npz")
        for turn in range(REPEATS):
            for points, table in tables.items():
                budget = TRIALS * table.mean_seconds
                seconds, done = cost("random-search", table_target(SIDE), trainers[points], WORKERS, budget)
                ours[points].append(1e6 * seconds / done)
                theirs[points].append(_syne_tune(peer, Path(folder) / f"{points}.npz", points, turn))
    for points in POINTS:
        whose = "as recorded" if points == RECORDED else "interpolated"
        ratios = [t / o for o, t in zip(ours[points], theirs[points], strict=True)]
        print(f"  {points} curve points, {whose}")
        print(f"    metaloop   {median(ours[points]):8.0f}  [{min(ours[points]):.0f}, {max(ours[points]):.0f}]")
        print(f"    Syne Tune  {median(theirs[points]):8.0f}  [{min(theirs[points]):.0f}, {max(theirs[points]):.0f}]")
        print(f"    ratio      {median(ratios):8.1f}  [{min(ratios):.1f}, {max(ratios):.1f}]")


def _syne_tune(peer: Path, table: Path, points: int, seed: int) -> float:
    """CPU microseconds that Syne Tune spends on a training; it must have done the same work."""
    script = Path(__file__).with_name("peer_syne_tune.py")
    command = [str(peer), str(script), str(table), str(TRIALS), str(WORKERS), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=table.parent)
    said = json.loads(done.stdout.strip().splitlines()[-1])
    least = said["trials"] * points
    if not (TRIALS <= said["trials"] <= TRIALS + WORKERS and least <= said["reports"] <= least + WORKERS * points):
        raise SystemExit(f"Syne Tune did not do the work that was asked for: {said}")
    return float(1e6 * said["cpu_s"] / said["trials"])


def in_fresh_process(arguments: list[str]) -> dict[str, float]:
    """One measurement of :func:`single`, in a process of its own (so that its memory is its own)."""
    done = subprocess.run(
        [sys.executable, __file__, "--single", *arguments], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def single(name: str, trainer_name: str, devices: int, experiments: int) -> None:
    """Print the cost of one org run of about ``experiments`` trainings as JSON."""
    if trainer_name == "table":
        table = load_table()
        trainer: SimulatedTrainer = TableTrainer(table)
        target, seconds = table_target(10**5), table.mean_seconds
    else:
        spec = TrainerSpec("surrogate", "cpu-tiny", "stdlib")
        target, trainer, seconds = describe(spec), make_simulated(spec), 4.0
    cost(name, target, trainer, 1, 20 * seconds)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    spent, done = cost(name, target, trainer, devices, experiments * seconds)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"us": 1e6 * spent / done, "experiments": done, "mib": grown / 1024}))


def over(title: str, cases: list[tuple[str, list[str]]]) -> None:
    """A table of cases, relative to the first."""
    print(f"\n{title}")
    first = 0.0
    for label, arguments in cases:
        found = in_fresh_process(arguments)
        first = first or found["us"]
        print(
            f"  {label:>8}  {found['us']:7.0f} us  {found['us'] / first:5.2f} of the first  "
            f"{found['experiments']:7.0f} experiments  {found['mib']:7.1f} MiB"
        )


def org_runs() -> None:
    """Org runs of 100 experiments per second and core, on the surrogate."""
    print("\norg runs of 100 experiments per second and core (surrogate, 2 devices, ideal cluster)")
    spec = TrainerSpec("surrogate", "cpu-tiny", "stdlib")
    target, trainer = describe(spec), make_simulated(spec)
    for name in (*LOCAL, "tpe"):
        spent, done, runs = _repeat(lambda n: _seeded(n, target, trainer), name)
        print(f"  {name:14} {done / 100 / spent:6.1f}   ({1e6 * spent / done:6.0f} us an experiment, {runs} org runs)")


def _seeded(name: str, target: Target, trainer: SimulatedTrainer) -> Callable[[int], int]:
    found = organization(name)

    def run(seed: int) -> int:
        return simulate_org(OrgRunTerms(found, seed, 480.0), target, Simulator(trainer, 2, IDEAL)).state.finished

    return run


def _repeat(make: Callable[[str], Callable[[int], int]], name: str, least_s: float = 4.0) -> tuple[float, int, int]:
    run, done, seed = make(name), 0, 0
    started = time.process_time()
    while (spent := time.process_time() - started) < least_s:
        done += run(seed)
        seed += 1
    return spent, done, seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer-python", type=lambda given: Path(given).absolute(), help="Python of an environment that holds syne-tune"
    )
    parser.add_argument("--quick", action="store_true", help="the two largest cases left out")
    parser.add_argument("--single", nargs=4, metavar=("ORG", "TRAINER", "DEVICES", "EXPERIMENTS"))
    given = parser.parse_args()
    if given.single:
        single(given.single[0], given.single[1], int(given.single[2]), int(given.single[3]))
        return
    print(f"Python {platform.python_version()}, {platform.machine()}")
    if given.peer_python:
        beside_syne_tune(given.peer_python)
    sizes = ("1000", "10000") if given.quick else ("1000", "10000", "100000")
    fleets = ("1", "100", "1000") if given.quick else ("1", "100", "1000", "10000")
    over(
        "random-search on the table, 4 devices, over experiments",
        [(n, ["random-search", "table", "4", n]) for n in sizes],
    )
    over(
        "solo-greedy on the surrogate, 4 devices, over experiments",
        [(n, ["solo-greedy", "surrogate", "4", n]) for n in sizes],
    )
    most = "10000" if given.quick else "40000"
    over("random-search on the table, over devices", [(n, ["random-search", "table", n, sizes[-1]]) for n in fleets])
    over("solo-greedy on the surrogate, over devices", [(n, ["solo-greedy", "surrogate", n, most]) for n in fleets])
    org_runs()


if __name__ == "__main__":
    main()
