"""An evolution from its folder to its results: what is missing is done, what stands there is not done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click
from msgspec.structs import replace

from metaloop.edges import session
from metaloop.edges.evolution.evidence import gather_evidence
from metaloop.edges.evolution.purse import Purse, thinks
from metaloop.edges.evolution.real import RealMeasure
from metaloop.edges.evolution.results import EvolutionResults
from metaloop.edges.evolution.terms import stages_of
from metaloop.edges.evolution.thinking import thinking, told
from metaloop.edges.evolution.thoughtful import ThoughtfulMeasure
from metaloop.edges.evolution.watch import ProgressWatcher
from metaloop.edges.means import Means
from metaloop.edges.mirror import mirrored
from metaloop.edges.outcome import print_json
from metaloop.edges.progress import Progress
from metaloop.edges.tracking import finish_tracker, start_tracker
from metaloop.files.org_file import read_organization, write_files
from metaloop.files.org_record import OrgFile
from metaloop.files.role_file import load_library
from metaloop.files.run_folder import held, read_json, write_json
from metaloop.meta.evolution.evolve import Evolution, no_evidence
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
from metaloop.meta.mutations.recorded import RecordedRewriter
from metaloop.meta.mutations.registry import operators
from metaloop.meta.mutations.textual import Rewriter
from metaloop.meta.thinking import Charge
from metaloop.vocabulary.errors import BudgetSpent, UsageError


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


def carry_out_evolution(folder: EvolutionFolder, means: Means) -> None:
    """Do what an evolution's folder still lacks, and say what came out."""
    terms = read_json(folder.terms, EvolutionTerms)
    progress = Progress()
    progress.say(f"evolution folder: {folder.path} (if interrupted: metaloop resume {folder.path})")
    show_plan(make_plan(terms), progress.say)
    with held(folder.path), mirrored(folder.path, means.mirror, progress):
        with _Stages(folder, terms, means) as stages:
            evolution = _evolution(folder, terms, stages, ProgressWatcher(progress))
            _run(evolution)
            stages.give_devices_back()
            measured = stages.memory.measured()
            results = _conclude(folder, terms, evolution, measured)
            note = gather_evidence(folder, results, measured, progress, stages.purse)
        results = replace(results, thinking=thinking(folder, measured))
        write_json(folder.results, results)
        if means.track:
            problem = finish_tracker(start_tracker(folder.path), timeout=300.0)
            if problem:
                progress.say(f"MLflow has not got everything: {problem}")
    if means.as_json:
        print_json(results)
    else:
        _show(results, note)


def _run(evolution: Evolution) -> None:
    try:
        evolution.run()
    except BudgetSpent as spent:
        raise UsageError(
            f"{spent} That was before the opening was over: nobody can be handed over. Grant more, in another --out."
        ) from None


class _Stages:
    """The measures of all stages behind one memory: simulated ones in processes, real ones on devices."""

    def __init__(self, folder: EvolutionFolder, terms: EvolutionTerms, means: Means) -> None:
        stages = stages_of(terms)
        self._real = {name: stage for name, stage in stages.items() if stage[0].backend != "sim"}
        simulated = {name: stage for name, stage in stages.items() if name not in self._real}
        self.purse = Purse(terms.total_allowance, self._thought)
        self._folder = folder
        self._simulator = SimulatedMeasure(simulated, terms.processes)
        self.thoughtful = ThoughtfulMeasure(folder, simulated, terms.processes, self.purse)
        self._devices = RealMeasure(folder, self._real, terms.lanes, means, self._allowance, self.purse)
        self._most = terms.max_gpu_hours
        self.memory = Remembering(self._measure, folder.measured)

    def __enter__(self) -> _Stages:
        return self

    def __exit__(self, *_: object) -> None:
        self._simulator.close()
        self._devices.close()

    def give_devices_back(self) -> None:
        """No real org run is left: the evidence is made in the simulator, and need not hold devices for that."""
        self._devices.close()

    def _measure(self, organizations: Mapping[str, OrgFile], requests: Sequence[Request]) -> Iterator[Measured]:
        real = [request for request in requests if request.stage in self._real]
        simulated = [request for request in requests if request.stage not in self._real]
        ask = {name for name in {request.name for request in simulated} if thinks(organizations[name])}
        free = [request for request in simulated if request.name not in ask]
        yield from self._simulator(organizations, free) if free else ()
        yield from self.thoughtful(organizations, [r for r in simulated if r.name in ask]) if ask else ()
        yield from self._devices(organizations, real) if real else ()

    def _allowance(self) -> float:
        return self._most - sum(gpu_hours([m for m in self.memory.measured() if m.real]))

    def _thought(self) -> Charge:
        return thinking(self._folder, self.memory.measured()).total


def _evolution(folder: EvolutionFolder, terms: EvolutionTerms, stages: _Stages, watcher: ProgressWatcher) -> Evolution:
    given = {name: read_organization(folder.given(name)) for name in (*terms.seeds, *terms.controls)}
    target = session.target_of(terms.confirmation)
    ground = Ground(load_library(folder.library), target.space.groups)
    rewriter = _rewriter(folder, terms, stages.purse)
    evolution = Evolution(terms, given, ground, operators(rewriter), stages.memory, folder.raise_child, watcher)
    evolution.witness = stages.thoughtful.evidence if rewriter else no_evidence
    return evolution


def _rewriter(folder: EvolutionFolder, terms: EvolutionTerms, purse: Purse) -> Rewriter | None:
    """Whoever rewrites prose, with a memory: what was paid once is not paid again."""
    if not terms.rewriter:
        return None
    from metaloop.brains.model.limits import open_chat
    from metaloop.meta.mutations.model_rewriter import ModelRewriter

    card = next(card for card in terms.inner.run.models if card.name == terms.rewriter)
    inner = ModelRewriter(card, open_chat(card, str(folder.limits.resolve())))
    return RecordedRewriter(inner, folder.rewritings, lambda: not purse.left().spent(0, 0.0))


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
        thinking=thinking(folder, measured),
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
    if results.thinking.total.tokens:
        click.echo(f"Thinking        {told(results.thinking)}")
    click.echo(f"Evolved         {results.evolved}")
    click.echo(f"Evidence        {note}")
