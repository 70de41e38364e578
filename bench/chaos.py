"""Random kills over real org runs on a Ray cluster of several nodes; afterwards all invariants must hold.

Usage: python bench/chaos.py [--kills 50] [--seed 1] [--out runs/chaos] [--docs docs/chaos.md]. The cluster's nodes are
processes of this machine, the trainings are real (cpu-micro). What is hit, when and how is drawn from the seed; which
process of a kind that is, and what it is doing just then, is up to the machine.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.chaotic.cluster import LocalCluster
from bench.chaotic.kills import Kill, aims
from bench.chaotic.run import ChaoticRun
from bench.chaotic.verdict import Verdict, table, verdict_on
from metaloop.files.run_folder import append_line, read_lines

ROOT = Path(__file__).resolve().parent.parent
ORGANIZATIONS = ("solo-greedy", "daily-standup", "careful-lab")
MARKS = ("<!-- table: kills -->", "<!-- end -->")


def cause(
    kills: int, seed: int, out: Path, organizations: tuple[str, ...], gpu_hours: float, say: Callable[[str], None]
) -> tuple[list[Kill], Verdict]:
    """Run organizations until ``kills`` processes have been hit, let the last run end, and judge what they left."""
    rng = random.Random(seed)
    todo = aims(rng, kills)
    done: list[Kill] = []
    folders: list[Path] = []
    began = time.monotonic()
    with LocalCluster(nodes=2) as cluster:
        while len(done) < kills:
            folders.append(out / f"run-{len(folders)}")
            run = ChaoticRun(cluster, folders[-1], organizations, seed + len(folders), gpu_hours)
            while not run.over(wait_s=rng.uniform(2.0, 8.0)):
                if len(done) == kills:
                    continue
                kill = run.suffer(todo[len(done)], len(done) + 1, time.monotonic() - began)
                done.append(kill)
                append_line(out / "kills.jsonl", kill)
                say(f"{kill.number:3} {kill.at_s:7.0f} s  {kill.kind:18} {kill.phase:10} {kill.outcome}")
            run.check_ended_well()
    return done, verdict_on(folders)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gpu-hours", type=float, default=0.03, help="of each org run")
    parser.add_argument("--out", type=Path, default=Path("runs") / f"chaos-{time.strftime('%Y%m%d-%H%M%S')}")
    parser.add_argument("--docs", type=Path, default=None, help="document whose table of kills is written anew")
    parser.add_argument("--judge", action="store_true", help="only judge what lies in --out")
    given = parser.parse_args()
    if given.judge:
        kills = read_lines(given.out / "kills.jsonl", Kill)
        verdict = verdict_on(sorted(path.parent for path in given.out.glob("run-*/run.json")))
    else:
        kills, verdict = cause(given.kills, given.seed, given.out, ORGANIZATIONS, given.gpu_hours, print)
    text = table(kills, verdict)
    print(text)
    if given.docs:
        before, rest = given.docs.read_text().split(MARKS[0])
        given.docs.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{rest.split(MARKS[1], 1)[1]}")
    sys.exit(0 if verdict.clean else 1)


if __name__ == "__main__":
    main()
