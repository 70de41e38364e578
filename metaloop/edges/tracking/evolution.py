"""What MLflow should show of an evolution that has ended: meta run → trial → org run → experiment.

A trial is an organization that was in the evolution: its params are its genome, so that parallel coordinates over
trials show which values win; its metrics are what it gained on each stage. The org runs of real stages hang below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from metaloop.edges.evolution.results import EvolutionResults
from metaloop.edges.tracking.images import RunImage, org_run_images
from metaloop.edges.tracking.knobs import flatten
from metaloop.edges.tracking.metrics import scalars
from metaloop.files.org_file import load_organization, read_organization
from metaloop.files.run_folder import read_json, read_lines
from metaloop.meta.evidence.lineage import unified_diff
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.meta.evolution.terms import CONFIRMATION, HALF, OPENING, Born, Measured
from metaloop.meta.racing.terms import Standing
from metaloop.vocabulary.errors import FileError

EVOLVED_FILES = ("EVIDENCE.md", "evidence.json")


def evolution_images(path: Path) -> Iterator[RunImage]:
    """Every run image of an evolution's folder, parents before children.

    A trial's ``gain_bpb`` is that of the simulated world that all trials were in, so that they can be compared by it;
    ``real_gain_bpb`` is that of the last real stage it came to on all of its GPU-hours.

    Raises:
        FileError: the evolution has not ended.
    """
    folder = EvolutionFolder(path)
    results = read_json(folder.results, EvolutionResults)
    measured = read_lines(folder.measured, Measured)
    yield _meta(folder, results)
    known = {born.name for born in results.lineage}
    given = [Born(name, "", "given", "", 0) for name in results.terms.controls if name not in known]
    for born in (*results.lineage, *given):
        yield _trial(folder, results, born, [m for m in measured if m.name == born.name])
    for stage in {m.stage for m in measured if m.real}:
        yield from org_run_images(folder.stage(stage))


def _meta(folder: EvolutionFolder, results: EvolutionResults) -> RunImage:
    terms, evolved = results.terms, Path(results.evolved)
    files = {"results.json": folder.results, "evolution.json": folder.terms}
    files |= {name: evolved / name for name in EVOLVED_FILES}
    final = results.scores.get(CONFIRMATION)
    summary = {
        "gain_bpb": _mean(final.scores[results.winner]) if final else None,
        "gpu_hours": results.gpu_hours,
        "harness_gpu_hours": results.harness_gpu_hours,
        "trials": float(len(results.lineage)),
        "tokens": float(results.thinking.total.tokens),
        "usd": results.thinking.total.usd,
        "rewritings": float(results.thinking.rewritings),
        "rewritings_usable": float(results.thinking.usable),
    }
    return RunImage(
        key="meta",
        parent=None,
        name=folder.path.resolve().name,
        origin=folder.terms,
        tags={
            "level": "meta",
            "command": terms.command,
            "best_organization": results.winner,
            "parent_organization": results.parent,
            "organizations": ", ".join(terms.seeds),
        },
        params={"generations": str(terms.generations), "population": str(terms.population), "seed": str(terms.seed)},
        series=scalars(summary),
        artifacts={place: file for place, file in files.items() if file.exists()},
        ends=0.0,
    )


def _trial(folder: EvolutionFolder, results: EvolutionResults, born: Born, measured: Sequence[Measured]) -> RunImage:
    place = folder.child(born.name) if born.parent else folder.given(born.name)
    stages = list(dict.fromkeys(m.stage for m in sorted(measured, key=lambda m: -m.seed)))
    gains = {f"gain_{stage}_bpb": _mean([m.score for m in measured if m.stage == stage]) for stage in stages}
    real = {m.stage for m in measured if m.real and m.stage != HALF}
    last = _last_standing(results, born.name)
    summary = {
        **gains,
        "gain_bpb": _mean([m.score for m in measured if m.stage in (OPENING, results.terms.inner.name)]),
        "real_gain_bpb": next((gains[f"gain_{stage}_bpb"] for stage in stages if stage in real), None),
        "versus_champion_bpb": last.difference if last else None,
        "e_value": last.e_value if last else None,
        "org_runs": float(len(measured)),
        "gpu_hours": math.fsum(m.gpu_hours for m in measured if m.real),
        "tokens": float(sum(m.tokens for m in measured)),
        "usd": math.fsum(m.usd for m in measured),
    }
    return RunImage(
        key=born.name,
        parent="meta",
        name=born.name,
        tags={
            "level": "organization",
            "organization": born.name,
            "parent_organization": born.parent,
            "operator": born.operator,
            "change": born.change,
            "generation": str(born.generation),
            "winner": str(born.name == results.winner).lower(),
            "control": str(born.name in results.terms.controls).lower(),
        },
        params=_genome(place),
        series=scalars(summary),
        artifacts={"organization": place} if place.exists() else {},
        texts=_diff(folder, results, born),
        ends=0.0,
    )


def _diff(folder: EvolutionFolder, results: EvolutionResults, born: Born) -> dict[str, str]:
    """What a child has that its parent has not, prose included."""
    parents = {each.name: each.parent for each in results.lineage}
    if not born.parent:
        return {}
    home = folder.child if parents.get(born.parent) else folder.given
    try:
        parent, child = read_organization(home(born.parent)), read_organization(folder.child(born.name))
    except FileError:
        return {}
    return {"diff-to-parent.patch": unified_diff(parent, child)}


def _last_standing(results: EvolutionResults, name: str) -> Standing | None:
    """How it compared with the champion in the last race that it was in."""
    found = [s for race in results.races for s in race.verdict.standings if s.name == name]
    return found[-1] if found else None


def _genome(place: Path) -> dict[str, str]:
    try:
        return flatten(load_organization(place))
    except FileError:
        return {}


def _mean(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return math.fsum(known) / len(known) if known else None
