"""An evolution from its folder to its results: what is missing is done, what stands there is not done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from metaloop.edges import session
from metaloop.edges.evolution.evidence import gather_evidence
from metaloop.edges.evolution.real import RealMeasure
from metaloop.edges.evolution.results import EvolutionResults
from metaloop.edges.evolution.terms import stages_of
from metaloop.edges.evolution.watch import ProgressWatcher
from metaloop.edges.outcome import print_json
from metaloop.edges.progress import Progress
from metaloop.edges.tracking import finish_tracker, start_tracker
from metaloop.files.org_file import read_organization, write_files
from metaloop.files.org_record import OrgFile
from metaloop.files.role_file import load_library
from metaloop.files.run_folder import read_json, write_json
from metaloop.meta.evolution.evolve import Evolution
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.meta.evolution.memory import Remembering, gpu_hours
from metaloop.meta.evolution.plan import Plan, make_plan
from metaloop.meta.evolution.simulated import SimulatedMeasure
from metaloop.meta.evolution.terms import (
    CONFIRMATION,
    HALF,
    EvolutionTerms,
    Measured,
    Request,
)
from metaloop.meta.mutations.operator import Ground
from metaloop.meta.mutations.registry import operators


def show_plan(plan: Plan, say: Callable[[str], None]) -> None:
    """The plan as a table of lines."""
    say(f"{'stage':14}{'org runs':>9}{'each':>10}{'GPU-hours':>11}   what")
    for stage in plan.stages:
        hours = f"{stage.gpu_hours:11.3f}" if stage.gpu_hours else f"{'simulated':>11}"
        say(f"{stage.name:14}{stage.org_runs:9}{stage.device_hours:8.3g} h{hours}   {stage.what}")
    say(
        f"At most {plan.simulated_org_runs} simulated org runs, and {plan.gpu_hours:.2f} real GPU-hours, confirmation "
        f"included ({plan.wall_hours * 60:.0f} minutes, ${plan.usd:.2f}). Hard limit: {plan.max_gpu_hours:g} GPU-hours."
    )


def carry_out_evolution(folder: EvolutionFolder, address: str | None, as_json: bool, track: bool) -> None:
    """Do what an evolution's folder still lacks, and say what came out."""
    terms = read_json(folder.terms, EvolutionTerms)
    progress = Progress()
    progress.say(f"evolution folder: {folder.path} (if interrupted: metaloop resume {folder.path})")
    show_plan(make_plan(terms), progress.say)
    with _Stages(folder, terms, address) as stages:
        evolution = _evolution(folder, terms, stages.memory, ProgressWatcher(progress))
        evolution.run()
        measured = stages.memory.measured()
        results = _conclude(folder, terms, evolution, measured)
    note = gather_evidence(folder, results, measured, progress)
    if track:
        problem = finish_tracker(start_tracker(folder.path), timeout=300.0)
        if problem:
            progress.say(f"MLflow has not got everything: {problem}")
    if as_json:
        print_json(results)
    else:
        _show(results, note)


class _Stages:
    """The measures of all stages behind one memory: simulated ones in processes, real ones on devices."""

    def __init__(self, folder: EvolutionFolder, terms: EvolutionTerms, address: str | None) -> None:
        stages = stages_of(terms)
        self._real = {name: stage for name, stage in stages.items() if stage[0].backend != "sim"}
        simulated = {name: stage for name, stage in stages.items() if name not in self._real}
        self._simulator = SimulatedMeasure(simulated, terms.processes)
        self._devices = RealMeasure(folder, self._real, terms.lanes, address, self._allowance)
        self._most = terms.max_gpu_hours
        self.memory = Remembering(self._measure, folder.measured)

    def __enter__(self) -> _Stages:
        return self

    def __exit__(self, *_: object) -> None:
        self._simulator.close()
        self._devices.close()

    def _measure(self, organizations: Mapping[str, OrgFile], requests: Sequence[Request]) -> Iterator[Measured]:
        real = [request for request in requests if request.stage in self._real]
        simulated = [request for request in requests if request.stage not in self._real]
        yield from self._simulator(organizations, simulated) if simulated else ()
        yield from self._devices(organizations, real) if real else ()

    def _allowance(self) -> float:
        return self._most - sum(gpu_hours([m for m in self.memory.measured() if m.real]))


def _evolution(
    folder: EvolutionFolder, terms: EvolutionTerms, memory: Remembering, watcher: ProgressWatcher
) -> Evolution:
    given = {name: read_organization(folder.given(name)) for name in (*terms.seeds, *terms.controls)}
    target = session.target_of(terms.confirmation)
    ground = Ground(load_library(folder.library), target.space.groups)
    return Evolution(terms, given, ground, operators(None), memory, folder.raise_child, watcher)


def _conclude(
    folder: EvolutionFolder, terms: EvolutionTerms, evolution: Evolution, measured: Sequence[Measured]
) -> EvolutionResults:
    evolved = folder.evolved(terms.name)
    if not evolved.exists():
        write_files(evolution.organizations[evolution.winner], evolved)
    spent, confirming = gpu_hours([m for m in measured if m.real])
    counts = {stage: sum(m.stage == stage for m in measured) for stage in stages_of(terms)}
    results = EvolutionResults(
        parent=evolution.parent,
        winner=evolution.winner,
        evolved=str(evolved),
        lineage=tuple(evolution.lineage),
        races=tuple(evolution.races),
        scores=evolution.scores,
        gpu_hours=spent,
        harness_gpu_hours=confirming,
        org_runs=counts,
        ran_out=evolution.ran_out,
        terms=terms,
        out=str(folder.path),
    )
    write_json(folder.results, results)
    return results


def _show(results: EvolutionResults, note: Path) -> None:
    """The comparison that counts, and where to look."""
    from metaloop.meta.statistics import t_interval

    for stage, title in (
        (CONFIRMATION, "confirmed on fresh seeds"),
        (HALF, "with half of the GPU-hours"),
    ):
        if stage not in results.scores:
            continue
        click.echo(f"{title}: gain in bpb, 95 % t interval over org runs")
        for name, scores in results.scores[stage].scores.items():
            known = [score for score in scores if score is not None]
            estimate = t_interval(known)
            interval = f" [{estimate.ci95[0]:.4f}, {estimate.ci95[1]:.4f}]" if estimate.ci95 else ""
            failed = f", {len(scores) - len(known)} without a score" if len(known) < len(scores) else ""
            click.echo(f"  {name:24}{estimate.mean:9.4f}{interval}{failed}")
    if results.winner == results.parent:
        click.echo(f"No child was better: {results.parent} is handed over as it is.")
    click.echo(f"Evolved         {results.evolved}")
    click.echo(f"Evidence        {note}")
