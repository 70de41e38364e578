"""What lessons are worth: the same organization with and without them, on paired seeds.

    python bench/lessons.py                      # simulated, 30 pairs of each organization
    python bench/lessons.py --real --pairs 3     # real trainings on Ray, a handful of pairs

Every pair has lessons of its own, gathered from org runs of the same organization on seeds that no pair uses, as
``metaloop lessons gather`` does it: effects of merges on the ``holdout`` split. What is compared is the gain on the
``confirm`` split: simulated, the surrogate's mean without any chance; real, as confirmed. The org runs that the lessons
came from are not charged: what is measured is what memory adds once it is there. Whether it pays for itself tells the
last line: the same organization without lessons, with all of these budgets in one org run.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import msgspec

from bench.organizations import Run, World, gain_at, measured
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster_file import find_cluster
from metaloop.execution.simulator.run import simulate_org
from metaloop.files.org_file import load_organization, write_whole
from metaloop.files.run_folder import Confirmation
from metaloop.meta.confirmation import UNSEEN, trunk_history
from metaloop.meta.lessons import lessons_of, pooled
from metaloop.meta.statistics import paired_interval, sign_flip_test, t_interval
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import TrainingRequest
from metaloop.vocabulary.seeds import confirmation_seed

ROOT = Path(__file__).resolve().parent.parent
ORGANIZATIONS = ("solo-greedy", "careful-lab", "scout-and-refine", "tpe")
CONFIRM_PAIRS = 4
APART = 100_000
"""Between the seeds of a pair and those of the org runs that its lessons come from."""

Choice = Callable[[Lesson], bool]
KINDS: dict[str, Choice] = {
    "all lessons": lambda lesson: bool(lesson.id),
    "no whole trunks": lambda lesson: not lesson.whole,
    "wins only": lambda lesson: lesson.kind == "win",
    "dead ends only": lambda lesson: lesson.kind == "dead end",
}
"""What of the lessons is told."""


class Ground:
    """The surrogate, its cluster, and a budget."""

    def __init__(self, hours: float, devices: int) -> None:
        self.world = World("surrogate")
        self.target, self.trainer = self.world.target(0)
        self._hours, self._devices = hours, devices

    def events(
        self, organization: Organization, seed: int, lessons: tuple[Lesson, ...] = (), times: int = 1
    ) -> list[ev.Event]:
        backend = Simulator(self.trainer, self._devices, find_cluster("laptop"))
        told = msgspec.structs.replace(organization, lessons=bool(lessons))
        terms = OrgRunTerms(told, seed, times * self._hours * 3600, lessons=lessons)
        return list(simulate_org(terms, self.target, backend).events)

    def run(self, organization: Organization, seed: int, lessons: tuple[Lesson, ...] = (), times: int = 1) -> Run:
        """One org run; ``times``: with so many budgets."""
        return measured(self.world, self.trainer, self.events(organization, seed, lessons, times), 0.0)

    def lessons(self, organization: Organization, seeds: Sequence[int]) -> tuple[Lesson, ...]:
        """What org runs on these seeds teach."""
        found = []
        for seed in seeds:
            events = self.events(organization, seed)
            found += lessons_of(events, self._confirmed(events, seed), f"{organization.name}/seed-{seed}")
        return tuple(pooled(found))

    def _confirmed(self, events: Sequence[ev.Event], seed: int) -> list[Confirmation]:
        merged = [event for event in events if isinstance(event, ev.Merged)]
        if not merged:
            return []
        found = []
        for commit, config in trunk_history(events, merged[0].parent).commits:
            for pair in range(CONFIRM_PAIRS):
                drawn = confirmation_seed(seed, pair)
                result = self.trainer.train(TrainingRequest(config, drawn, score_on=UNSEEN))
                scores = dict(result.bpb) if result.state == "ok" else {}
                found.append(Confirmation(commit, config, pair, drawn, result.state, scores, result.seconds))
        return found


def interval(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """``+0.0102 [+0.0051, +0.0153], p = 0.001``: mean paired difference, 95 % t interval, exact sign-flip test."""
    estimate = paired_interval(ours, theirs)
    low, high = estimate.ci95 or (math.nan, math.nan)
    p = sign_flip_test([a - b for a, b in zip(ours, theirs, strict=True)][:20])
    return f"{estimate.mean:+.4f} [{low:+.4f}, {high:+.4f}]" + ("" if p is None or len(ours) > 20 else f", p = {p:.3g}")


def simulate(names: Sequence[str], pairs: int, hours: float, devices: int, taught_by: int) -> None:
    """Print every organization with and without lessons."""
    ground = Ground(hours, devices)
    for name in names:
        organization = load_organization(ROOT / "orgs" / name)
        seeds = range(pairs)
        sources = [range(APART * (seed + 1), APART * (seed + 1) + taught_by) for seed in seeds]
        lessons = [ground.lessons(organization, source) for source in sources]
        without = [ground.run(organization, seed) for seed in seeds]
        counts = {
            k: fmean(sum(one.kind == k for one in each) for each in lessons) for k in ("win", "unsure", "dead end")
        }
        told = ", ".join(f"{count:.1f} {kind}" for kind, count in counts.items())
        gains = [run.gain for run in without]
        low, high = t_interval(gains).ci95 or (math.nan, math.nan)
        print(f"{name}: {pairs} pairs, {hours} GPU-hours, {devices} devices; lessons of {taught_by} org runs: {told}")
        print(f"  without          gain {fmean(gains):.4f} [{low:.4f}, {high:.4f}]  {early(without, hours)}")
        for kind, choice in KINDS.items():
            given = [tuple(filter(choice, each)) for each in lessons]
            runs = [ground.run(organization, seed, each) for seed, each in zip(seeds, given, strict=True)]
            difference = interval([run.gain for run in runs], gains)
            print(f"  {kind:16s} gain {fmean(r.gain for r in runs):.4f}  {early(runs, hours)}  difference {difference}")
        longer = [ground.run(organization, seed, times=1 + taught_by).gain for seed in seeds]
        print(
            f"  without, {1 + taught_by} budgets in one: gain {fmean(longer):.4f}  difference {interval(longer, gains)}"
        )
        sys.stdout.flush()


def early(runs: list[Run], hours: float) -> str:
    """Mean gain after a tenth, a quarter and half of the budget."""
    return "anytime " + " ".join(f"{gain_at(runs, share * hours):.4f}" for share in (0.1, 0.25, 0.5))


def really(name: str, pairs: int, hours: float, devices: int, taught_by: int, out: Path) -> None:
    """The same with real trainings: ``metaloop run`` and ``metaloop lessons gather``, pair by pair."""
    shutil.rmtree(out, ignore_errors=True)
    told, untold = out / "orgs" / f"{name}-told", out / "orgs" / f"{name}-untold"
    for folder in (told, untold):
        write_whole(ROOT / "orgs" / name, folder)
    text = (told / "ORG.md").read_text()
    (told / "ORG.md").write_text(text.replace("members:", "lessons: true\nmembers:", 1))
    terms = ["--gpu-hours", str(hours), "--devices", str(devices), "--no-mlflow", "--json"]
    gains: list[tuple[float, float]] = []
    for pair in range(pairs):
        source, run, file = out / f"source-{pair}", out / f"pair-{pair}", out / f"lessons-{pair}.json"
        seeds = ["--seed", str(APART * (pair + 1)), "--seeds", str(taught_by)]
        metaloop("run", str(untold), *terms, *seeds, "--out", str(source))
        metaloop("lessons", "gather", str(source), "--out", str(file))
        metaloop("run", str(untold), str(told), *terms, "--seed", str(pair), "--lessons", str(file), "--out", str(run))
        by_name = {o["name"]: o["gain_bpb"] for o in json.loads((run / "results.json").read_text())["organizations"]}
        gains.append((by_name[told.name], by_name[untold.name]))
        print(f"{name} pair {pair}: told {gains[-1][0]:.4f}, untold {gains[-1][1]:.4f}", flush=True)
    print(f"{name}: told minus untold {interval([a for a, _ in gains], [b for _, b in gains])}, {pairs} pairs")


def metaloop(*arguments: str) -> None:
    """A command, its output put aside."""
    from metaloop.edges.cli import cli

    with contextlib.redirect_stdout(sys.stderr):
        cli.main(list(arguments), standalone_mode=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("organizations", nargs="*", help="names under orgs/")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--taught-by", type=int, default=3, help="org runs that the lessons of a pair come from")
    parser.add_argument("--gpu-hours", type=float, default=0.02)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--real", action="store_true", help="real trainings on Ray")
    parser.add_argument("--out", type=Path, default=Path("runs/lessons"), help="--real: where the runs go")
    given = parser.parse_args()
    terms = (given.pairs, given.gpu_hours, given.devices, given.taught_by)
    if given.real:
        for name in given.organizations or ["solo-greedy"]:
            really(name, *terms, given.out / name)
    else:
        simulate(given.organizations or ORGANIZATIONS, *terms)


if __name__ == "__main__":
    main()
