"""The evidence of an evolution: what is still to be run in the simulator for it, and the record it comes to.

Real gains come from the confirmation's folder. In the simulator, where org runs cost seconds, the winner is compared
once more on fresh seeds with its whole trunk confirmed, beside every variant of it: with each change taken back, and
without each member.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from metaloop.edges import session
from metaloop.edges.calibration import hardware
from metaloop.edges.evidence import write_evidence
from metaloop.edges.evolution.purse import Purse
from metaloop.edges.evolution.results import EvolutionResults
from metaloop.edges.evolution.thinking import told
from metaloop.edges.progress import Progress
from metaloop.files.org_file import read_organization, write_files
from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import RunFolder, RunTerms, write_json
from metaloop.meta.evidence.ablation import ablations
from metaloop.meta.evidence.credit import indispensable, without_each_member
from metaloop.meta.evidence.importance import importance
from metaloop.meta.evidence.lineage import Step, step
from metaloop.meta.evidence.paired import Paired
from metaloop.meta.evidence.report import Evidence, Making, World, observe, study
from metaloop.meta.evidence.variant import to_run
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.meta.evolution.terms import (
    CONFIRMATION,
    HALF,
    SIMULATED,
    UNSEEN,
    VARIANTS,
    EvolutionTerms,
    Measured,
)
from metaloop.meta.measure import measure_run
from metaloop.meta.results import Results

SIMULATED_AT = 900_000
"""Offset of their org-run seeds in an evolution's."""
LEAST_SCORED = 8
"""Org runs of an organization before its mean counts for the importance of its values."""


def gather_evidence(
    folder: EvolutionFolder, results: EvolutionResults, measured: Sequence[Measured], progress: Progress, purse: Purse
) -> Path:
    """Run what is missing, and write EVIDENCE.md beside the evolved organization; its path.

    What is left in the ``purse`` is what these org runs may think for.
    """
    terms, watch = results.terms, (progress, purse)
    evolved = read_organization(folder.evolved(terms.name))
    parent = read_organization(folder.given(results.parent))
    compared = {
        evolved.name: evolved,
        parent.name: parent,
        **{name: read_organization(folder.given(name)) for name in terms.final_controls},
    }
    inner = msgspec.structs.replace(terms.inner.run, seed=terms.inner.run.seed + SIMULATED_AT, confirm="trunk")
    simulated = _run(folder.stage(SIMULATED), compared, inner, terms.unseen_blocks, watch)
    abroad = msgspec.structs.replace(terms.unseen, confirm="trunk")
    unseen = _run(folder.stage(UNSEEN), compared, abroad, terms.unseen_blocks, watch)
    lineage = _lineage(folder, results)
    ancestor = read_organization(folder.given(lineage[0].parent)) if lineage else parent
    changed = ablations(ancestor, evolved)
    members = without_each_member(evolved, changed)
    variants = _run(
        folder.stage(VARIANTS),
        {evolved.name: evolved, ancestor.name: ancestor} | to_run((*changed, *members), (evolved.name, ancestor.name)),
        inner,
        terms.unseen_blocks,
        watch,
    )
    worlds = [*_real_worlds(folder, results, evolved.name), observe(SIMULATED, simulated, evolved.name, parent.name)]
    worlds.append(observe("the unseen world", unseen, evolved.name, parent.name))
    evidence = Evidence(
        name=evolved.name,
        description=evolved.description,
        parent=parent.name,
        worlds=tuple(worlds),
        lineage=lineage,
        ablation=study(changed, variants, evolved.name, ancestor.name) if changed else None,
        credit=study(members, variants, evolved.name, ancestor.name) if members else None,
        indispensable=indispensable(evolved),
        importance=importance(_scored(folder, terms, measured), terms.seed),
        making=_making(terms, results),
        limits=_limits(results),
    )
    return write_evidence(evidence, folder.evolved(terms.name))


def _run(
    folder: RunFolder,
    organizations: Mapping[str, OrgFile],
    terms: RunTerms,
    seeds: int,
    watch: tuple[Progress, Purse],
) -> Results:
    """A simulated run of these organizations, as far as it is missing, measured."""
    progress, purse = watch
    names = tuple(organizations)
    terms = msgspec.structs.replace(terms, organizations=names, seeds=seeds, total_allowance=purse.left())
    if not folder.terms.exists():
        for name, organization in organizations.items():
            if not (folder.organizations / name).exists():
                write_files(organization, folder.organizations / name)
        write_json(folder.terms, terms)
    progress.say(f"evidence, {folder.path.name}: {len(organizations)} organizations on {seeds} seeds, simulated")
    session.execute(folder, session.simulator_of(terms), Progress(quiet=True))
    return session.conclude(folder)


def _real_worlds(folder: EvolutionFolder, results: EvolutionResults, name: str) -> list[World]:
    """The confirmation; and the winner on half of the GPU-hours beside the others on all of them."""
    if CONFIRMATION not in results.scores or results.terms.confirmation.backend == "sim":
        return []
    whole = _renamed(measure_run(folder.stage(CONFIRMATION).path), results.winner, name)
    worlds = [observe("real", whole, name, results.parent)]
    if HALF in results.scores:
        half = _renamed(measure_run(folder.stage(HALF).path), results.winner, name)
        ours = [o for o in half.organizations if o.name == name]
        others = [o for o in whole.organizations if o.name != name]
        mixed = msgspec.structs.replace(whole, organizations=(*ours, *others))
        worlds.append(observe(f"real, {name} with half of the GPU-hours", mixed, name, results.parent))
    return worlds


def _renamed(results: Results, winner: str, name: str) -> Results:
    """The winner under the name it is handed over by."""
    organizations = [msgspec.structs.replace(o, name=name) if o.name == winner else o for o in results.organizations]
    return msgspec.structs.replace(results, organizations=tuple(organizations))


def _lineage(folder: EvolutionFolder, results: EvolutionResults) -> tuple[Step, ...]:
    """From a given organization to the winner, oldest first, with what the race saw that first had the child in it."""
    born = {each.name: each for each in results.lineage}
    steps: list[Step] = []
    name = results.winner
    while born[name].parent:
        each = born[name]
        parent = _organization(folder, each.parent, born[each.parent].parent)
        child = _organization(folder, name, each.parent)
        steps.append(step(parent, child, each.operator, each.change, _seen(results, name)))
        name = each.parent
    return tuple(reversed(steps))


def _organization(folder: EvolutionFolder, name: str, parent: str) -> OrgFile:
    return read_organization(folder.child(name) if parent else folder.given(name))


def _seen(results: EvolutionResults, name: str) -> Paired | None:
    """How the child compared with the champion of the first race that it was in."""
    for race in results.races:
        for standing in race.verdict.standings:
            if standing.name == name and standing.difference is not None:
                missing = standing.missing
                pair = (standing.difference, standing.interval, standing.blocks, missing)
                return Paired(name, race.champion, *pair, p_t=None, p_exact=None)
    return None


def _scored(
    folder: EvolutionFolder, terms: EvolutionTerms, measured: Sequence[Measured]
) -> list[tuple[OrgFile, float]]:
    """Organizations with their mean simulated gains, where enough org runs stand behind them."""
    scores: dict[str, list[float]] = {}
    for each in measured:
        if each.stage in ("opening", terms.inner.name) and each.score is not None:
            scores.setdefault(each.name, []).append(each.score)
    found = {name: sum(s) / len(s) for name, s in scores.items() if len(s) >= LEAST_SCORED}
    places = {name: folder.child(name) if folder.child(name).exists() else folder.given(name) for name in found}
    return [(read_organization(places[name]), found[name]) for name in sorted(found)]


def _making(terms: EvolutionTerms, results: EvolutionResults) -> Making:
    names = ("metaloop", "torch", "ray", "optuna")
    simulated = sum(results.org_runs[stage] for stage in ("opening", terms.inner.name))
    spent = f"{results.gpu_hours:.2f} GPU-hours real and {results.harness_gpu_hours:.2f} to confirm them"
    thought = f"; {told(results.thinking)} for thinking until here" if results.thinking.total.tokens else ""
    return Making(
        command=terms.command,
        seed=terms.seed,
        versions={"python": platform.python_version(), **{name: version(name) for name in names}},
        hardware=hardware(),
        spent=f"{spent}, {simulated} simulated org runs{thought}",
    )


def _limits(results: EvolutionResults) -> tuple[str, ...]:
    limits = ["Real trunks were confirmed at their ends only: real anytime curves and real false merges are not known."]
    if results.winner == results.parent:
        limits.insert(0, "No child was better than its parent: what is handed over is the parent.")
    if results.ran_out:
        limits.insert(0, "The GPU-hours, or what could be thought for, were spent before everything was measured.")
    return tuple(limits)
