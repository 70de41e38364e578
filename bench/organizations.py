"""Organizations against controls over many paired org runs, in the simulator: true gains, tests, GPU-hours to a target.

    python bench/organizations.py orgs/scout-and-refine --seeds 100 --gpu-hours 0.02 --devices 2
    python bench/organizations.py orgs/scout-and-refine --world h100-5min --gpu-hours 10 --devices 8 --seeds 30

A run's gain is the trainer's mean, without any chance, of the baseline minus that of trunk: what confirmation would
come to with endlessly many pairs. Of the surrogate it is the mean on the ``confirm`` split. Every seed is another org
run, and in ``h100-5min`` another world. Controls are compared on the same seeds. The surrogate's holes are not
corrected for: what wins here is a candidate for a real run, no more.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from scipy.stats import ttest_1samp

from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster_file import find_cluster
from metaloop.execution.simulator.run import simulate_org
from metaloop.execution.trainer import SimulatedTrainer, Target, TrainerSpec, describe, make_simulated
from metaloop.files.org_file import load_organization
from metaloop.meta.statistics import paired_interval, t_interval
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import TRUNK, Config, TrainingRequest

ROOT = Path(__file__).resolve().parent.parent
CONTROLS = ("solo-greedy", "random-search", "tpe")
SHARES = (0.25, 0.5, 1.0)
"""Shares of the budget at which the mean anytime gain is printed."""


@dataclass(frozen=True)
class Run:
    """One org run: true gain of its last trunk (bpb), (GPU-hours, best gain so far), trainings, CPU seconds."""

    gain: float
    curve: tuple[tuple[float, float], ...]
    trainings: int
    stopped: int
    decisions: int
    cpu_s: float


class World:
    """Targets by seed, and the truth about a configuration."""

    def __init__(self, name: str) -> None:
        self.name = name
        if name == "surrogate":
            spec = TrainerSpec(name, "cpu-tiny", "stdlib")
            self._only = describe(spec), make_simulated(spec)
            self._noiseless = make_simulated(TrainerSpec(name, "cpu-tiny", "stdlib#noiseless"))

    def target(self, seed: int) -> tuple[Target, SimulatedTrainer]:
        if self.name == "surrogate":
            return self._only
        spec = TrainerSpec(self.name, self.name, str(seed))
        return describe(spec), make_simulated(spec)

    def true(self, trainer: SimulatedTrainer, config: Config) -> float:
        """Mean bpb on unseen data; infinite where the training is more likely to fail than not."""
        if self.name == "surrogate":
            request = TrainingRequest(config, 0, score_on=("confirm",))
            return self._noiseless.train(request).bpb.get("confirm", math.inf)
        _, failure, mean = trainer.landscape.stand(config)  # type: ignore[attr-defined]
        return math.inf if failure else float(mean)


def run(world: World, organization: Organization, seed: int, budget: tuple[float, int], cluster: str) -> Run:
    """One org run; ``budget`` is GPU-hours and devices."""
    hours, devices = budget
    target, trainer = world.target(seed)
    began = time.process_time()
    backend = Simulator(trainer, devices, find_cluster(cluster))
    events = simulate_org(OrgRunTerms(organization, seed, hours * 3600), target, backend).events
    return measured(world, trainer, events, time.process_time() - began)


def measured(world: World, trainer: SimulatedTrainer, events: Sequence[ev.Event], cpu_s: float) -> Run:
    """What an org run came to. A trunk that fails has gained nothing."""
    baseline, gain, curve = world.true(trainer, {}), 0.0, [(0.0, 0.0)]
    for event in events:
        if isinstance(event, ev.Merged) and event.branch == TRUNK:
            gain = max(0.0, baseline - world.true(trainer, event.config))
            curve.append((event.spent_s / 3600, max(gain, curve[-1][1])))
    finished = [e.result.state for e in events if isinstance(e, ev.Finished)]
    decisions = sum(isinstance(e, ev.Proposed | ev.Passed) for e in events)
    return Run(gain, tuple(curve), len(finished), finished.count("stopped"), decisions, cpu_s)


def gain_at(runs: list[Run], hours: float) -> float:
    """The mean anytime curve."""
    return fmean(max(gain for at, gain in run.curve if at <= hours) for run in runs)


def hours_to(runs: list[Run], gain: float) -> float | None:
    """GPU-hours until the mean anytime curve is at ``gain``."""
    times = sorted({at for run in runs for at, _ in run.curve})
    low, high = 0, len(times)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if gain_at(runs, times[middle]) >= gain else (middle + 1, high)
    return times[low] if low < len(times) else None


def line(name: str, runs: list[Run], controls: dict[str, list[Run]], hours: float) -> str:
    """A row of the table: against every control the paired difference, against the best the time to its gain."""
    gains = [r.gain for r in runs]
    estimate = t_interval(gains)
    low, high = estimate.ci95 or (math.nan, math.nan)
    anytime = " ".join(f"{gain_at(runs, share * hours):.3f}" for share in SHARES)
    decision_ms = 1000 * fmean(r.cpu_s for r in runs) / fmean(r.decisions for r in runs)
    text = f"{name:20s} gain {estimate.mean:.4f} [{low:.4f}, {high:.4f}]  anytime {anytime}"
    text += f"  trainings {fmean(r.trainings for r in runs):.1f} (stopped {fmean(r.stopped for r in runs):.1f})"
    text += f"  {decision_ms:.2f} ms CPU a decision, all included"
    if name in controls:
        return text
    best = max(controls, key=lambda c: fmean(r.gain for r in controls[c]))
    reached = hours_to(runs, fmean(r.gain for r in controls[best]))
    text += f"\n    {best}'s final gain after " + (
        "never" if reached is None else f"{reached / hours:.2f} of the budget"
    )
    for control, theirs in controls.items():
        difference = paired_interval(gains, [r.gain for r in theirs])
        low, high = difference.ci95 or (math.nan, math.nan)
        p = ttest_1samp([r.gain - t.gain for r, t in zip(runs, theirs, strict=True)], 0.0, alternative="greater").pvalue
        text += f"\n    against {control:14s} {difference.mean:+.4f} [{low:+.4f}, {high:+.4f}]  p = {p:.1e}"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("organizations", nargs="+", type=Path, help="folders with an ORG.md")
    parser.add_argument("--world", choices=("surrogate", "h100-5min"), default="surrogate")
    parser.add_argument("--seeds", type=int, default=100, help="paired org runs of each organization")
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--gpu-hours", type=float, default=0.02)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--controls", nargs="*", default=list(CONTROLS), help="names under orgs/")
    options = parser.parse_args()
    world, cluster = World(options.world), "laptop" if options.world == "surrogate" else "ideal"
    controls: dict[str, list[Run]] = {}
    for path in [*(ROOT / "orgs" / name for name in options.controls), *options.organizations]:
        organization = load_organization(path)
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        budget = (options.gpu_hours, options.devices)
        runs = [run(world, organization, seed, budget, cluster) for seed in seeds]
        if path.name in options.controls:
            controls[path.name] = runs
        print(line(path.name, runs, controls, options.gpu_hours), flush=True)


if __name__ == "__main__":
    main()
