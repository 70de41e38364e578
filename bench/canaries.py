"""What canary trainings cost where nothing is wrong, and what they save where a device throttles; simulated.

    python -m bench.canaries                    # 40 paired seeds of each row, some minutes
    python -m bench.canaries --seeds 100 --organization orgs/tpe

Two grounds: eight cores with the laptop's spread of durations (cpu-tiny, a canary every 20 seconds), and a host of
eight H100s as ``h100-node`` describes it, without anybody who thinks (five-minute trainings, a canary every half an
hour). In each, devices begin to throttle for good at a rate that hits one of eight in an org run, or never. A run's
gain is the trainer's mean, without any chance, of the baseline minus trunk; both columns have the same budget and the
same seeds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import msgspec

from bench.organizations import Run, World, measured
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster import Cluster
from metaloop.execution.simulator.cluster_file import find_cluster
from metaloop.execution.simulator.run import simulate_org
from metaloop.files.org_file import load_organization
from metaloop.meta.statistics import paired_interval
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.canaries import NO_CANARIES, CanaryTerms
from metaloop.vocabulary.organization import Organization

ROOT = Path(__file__).resolve().parent.parent
DEVICES = 8
FOR_GOOD_S = 1e9
TOLERANCES = (1.1, 1.25, 1.5)
FACTORS = (1.0, 1.15, 1.5, 3.0)


@dataclass(frozen=True)
class Ground:
    """A world, its cluster, an org run's GPU-hours on eight devices, and the seconds between canaries."""

    name: str
    world: World
    cluster: Cluster
    hours: float
    every_s: float

    def throttling(self, factor: float) -> Cluster:
        """One device in eight throttles for good within an org run, on average in its middle; with 1, none does."""
        rate = 0.0 if factor == 1.0 else 1.0 / (self.hours / DEVICES) / DEVICES
        hardware = msgspec.structs.replace(
            self.cluster.hardware, throttles_per_hour=rate, throttle_s=FOR_GOOD_S, throttle_factor=factor
        )
        return msgspec.structs.replace(self.cluster, hardware=hardware)

    def run(self, organization: Organization, seed: int, factor: float, canaries: CanaryTerms) -> tuple[Run, int, int]:
        """One org run, how many canaries it trained, and how many devices they set aside."""
        target, trainer = self.world.target(seed)
        backend = Simulator(trainer, DEVICES, self.throttling(factor))
        terms = OrgRunTerms(organization, seed, self.hours * 3600, canaries=canaries)
        events = simulate_org(terms, target, backend).events
        sung = sum(isinstance(event, ev.CanaryEnded) for event in events)
        return measured(self.world, trainer, events, 0.0), sung, sum(isinstance(event, ev.SetAside) for event in events)


def grounds() -> tuple[Ground, ...]:
    node = find_cluster("h100-node")
    quiet = msgspec.structs.replace(node, thinking=find_cluster("ideal").thinking, delays=find_cluster("laptop").delays)
    return (
        Ground("cores", World("surrogate"), find_cluster("laptop"), hours=0.3, every_s=20.0),
        Ground("H100s", World("h100-5min"), quiet, hours=40.0, every_s=1800.0),
    )


def row(ground: Ground, organization: Organization, factor: float, tolerance: float, seeds: Sequence[int]) -> str:
    """A line of the table."""
    terms = CanaryTerms(every_s=ground.every_s, slower=tolerance)
    without = [ground.run(organization, seed, factor, NO_CANARIES)[0] for seed in seeds]
    watched = [ground.run(organization, seed, factor, terms) for seed in seeds]
    trainings = fmean(run.trainings for run, _, _ in watched) / fmean(run.trainings for run in without) - 1
    difference = paired_interval([run.gain for run, _, _ in watched], [run.gain for run in without])
    low, high = difference.ci95 or (math.nan, math.nan)
    aside = fmean(count for _, _, count in watched)
    sung = fmean(count for _, count, _ in watched)
    return (
        f"| {ground.name} | {'none' if factor == 1 else f'x {factor:g}'} | {tolerance:g} | {sung:.0f} | {aside:.2f} "
        f"| {trainings:+.1%} | {difference.mean:+.4f} [{low:+.4f}, {high:+.4f}] |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--organization", type=Path, default=ROOT / "orgs" / "solo-greedy")
    given = parser.parse_args()
    organization = load_organization(given.organization)
    print("| devices | throttle | tolerance | canaries | set aside per org run | trainings | gain (bpb) |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for ground in grounds():
        for factor in FACTORS:
            for tolerance in TOLERANCES:
                print(row(ground, organization, factor, tolerance, range(given.seeds)), flush=True)


if __name__ == "__main__":
    main()
