"""What MLflow should show of a run's folder: a list of run images, a pure function of the files in it.

    meta (the command) -> organization -> org run -> experiment

The publisher makes MLflow look like the images; it knows nothing of metaloop, and this module nothing of MLflow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from metaloop.edges.report.story import Story, Training, describe, tell
from metaloop.edges.tracking.knobs import flatten
from metaloop.edges.tracking.metrics import Point, gain_metrics, scalars
from metaloop.edges.tracking.notes import comparison_pictures, leaderboard_note, org_run_pictures, record_note
from metaloop.files import journal
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import OrgRunFolder, RunFolder, RunTerms
from metaloop.meta.measure import measure_run
from metaloop.meta.results import OrganizationResult, OrgRunResult, Results
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.models import ModelCard


class Thoughts(msgspec.Struct, frozen=True):
    """Where the exchanges with models lie, and the cards of those models."""

    folder: Path
    cards: tuple[ModelCard, ...]


class RunImage(msgspec.Struct, frozen=True):
    """One MLflow run. ``key`` names it in the folder; a series only ever grows at its end.

    Journals know run time only, so the wall clock comes from a file's age: at ``origin``'s last change, run time was
    ``origin_t``. Without ``origin`` the run shares its parent's clock. ``begins`` and ``ends`` are run times.
    ``artifacts`` maps a place among the artifacts to a file or folder, ``texts`` to what it shall hold;
    ``thoughts`` are shown as traces.
    """

    key: str
    parent: str | None
    name: str
    origin: Path | None = None
    origin_t: float = 0.0
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    series: dict[str, tuple[Point, ...]] = {}
    artifacts: dict[str, Path] = {}
    texts: dict[str, str] = {}
    begins: float = 0.0
    ends: float | None = None
    failed: bool = False
    thoughts: Thoughts | None = None


def images(path: Path) -> Iterator[RunImage]:
    """Every run image of a folder, parents before children.

    Raises:
        FileError: the folder is not that of a run.
    """
    folder = RunFolder(path)
    results = measure_run(path)
    yield _meta(folder, results)
    by_name = {o.name: o for o in results.organizations}
    for name in results.terms.organizations:
        params = {**_terms(results.terms), **_knobs(folder, name)}
        yield _organization(folder, results.terms, by_name[name], params)
        yield from _org_runs(folder, by_name[name], params, results.terms.models)


def org_run_images(folder: RunFolder) -> Iterator[RunImage]:
    """The org runs and experiments alone, for a parent of the organization's name that is somebody else's image.

    Keys and names begin with the folder's name: an organization may run on the same seed in another stage.
    """
    results, stage = measure_run(folder.path), folder.path.name
    for organization in results.organizations:
        params = {**_terms(results.terms), **_knobs(folder, organization.name)}
        for image in _org_runs(folder, organization, params, results.terms.models):
            parent = image.parent if image.parent == organization.name else f"{stage}/{image.parent}"
            yield replace(image, key=f"{stage}/{image.key}", parent=parent, name=f"{stage}: {image.name}")


def _org_runs(
    folder: RunFolder, organization: OrganizationResult, params: Mapping[str, str], cards: tuple[ModelCard, ...]
) -> Iterator[RunImage]:
    for run in organization.org_runs:
        place = folder.org_run(organization.name, run.seed)
        story = tell(journal.read(place.journal))
        if story is not None:
            thoughts = Thoughts(place.transcripts, cards) if place.transcripts.exists() else None
            yield replace(_org_run(place, run, story, params), thoughts=thoughts)
            yield from (_experiment(story, training) for training in story.trainings)


def _terms(terms: RunTerms) -> dict[str, str]:
    return {
        "trainer": terms.trainer,
        "preset": terms.preset,
        "data": terms.data,
        "backend": terms.backend,
        "gpu_hours_granted": f"{terms.gpu_hours:g}",
        "devices": str(terms.devices),
        "devices_per_experiment": str(terms.devices_per_experiment),
    }


def _knobs(folder: RunFolder, name: str) -> dict[str, str]:
    try:
        return flatten(load_organization(folder.organizations / name))
    except FileError:
        return {}


def _meta(folder: RunFolder, results: Results) -> RunImage:
    terms = results.terms
    best = next((o for o in results.organizations if o.gain_bpb is not None), None)
    done = _all_finished(results)
    summary = {
        "best_gain_bpb": best.gain_bpb if best else None,
        "gpu_hours": sum(o.gpu_hours for o in results.organizations),
        "experiments": float(sum(o.experiments for o in results.organizations)),
    }
    return RunImage(
        key="meta",
        parent=None,
        name=folder.path.resolve().name,
        origin=folder.terms,
        tags={
            "level": "meta",
            "command": terms.command,
            "organizations": ", ".join(terms.organizations),
            "best_organization": best.name if best and done else "",
            "mlflow.note.content": leaderboard_note(results),
        },
        params={**_terms(terms), "seeds": str(terms.seeds), "confirm_pairs": str(terms.confirm_pairs)},
        series=scalars(summary) if done else {},
        artifacts=_existing({"report.html": folder.report, "results.json": folder.results, "run.json": folder.terms}),
        texts=comparison_pictures(results) if done else {},
        ends=_makespan(results) if done else None,
    )


def _all_finished(results: Results) -> bool:
    return all(_finished(o, results.terms) for o in results.organizations)


def _finished(organization: OrganizationResult, terms: RunTerms) -> bool:
    return len(organization.org_runs) == terms.seeds and all(run.finished for run in organization.org_runs)


def _makespan(results: Results) -> float:
    return sum(run.makespan_s for o in results.organizations for run in o.org_runs)


def _organization(
    folder: RunFolder, terms: RunTerms, result: OrganizationResult, params: Mapping[str, str]
) -> RunImage:
    place = folder.organizations / result.name
    done = _finished(result, terms)
    against = result.versus_control
    summary = {
        **gain_metrics(result),
        "gpu_hours_to_best_control": result.gpu_hours_to_best_control,
        "versus_best_control_bpb": against.difference_bpb if against else None,
    }
    roles = {f"role.{file.stem}": _digest(file) for file in sorted(place.glob("*.md")) if file.stem != "ORG"}
    lineage = {"parent_organization": terms.parents[result.name]} if result.name in terms.parents else {}
    return RunImage(
        key=result.name,
        parent="meta",
        name=result.name,
        tags={
            "level": "organization",
            "organization": result.name,
            "control": _flag(result.control),
            "run": folder.path.resolve().name,
            **roles,
            **lineage,
        },
        params=dict(params),
        series=scalars(summary) if done else {},
        artifacts=_existing({"organization": place}),
        ends=sum(run.makespan_s for run in result.org_runs) if done else None,
    )


def _org_run(place: OrgRunFolder, run: OrgRunResult, story: Story, params: Mapping[str, str]) -> RunImage:
    key = f"{run.organization}/seed-{run.seed}"
    scored = [(t, t.bpb) for t in story.trainings if t.bpb is not None and t.first]
    series = {
        "val_bpb": tuple(Point(bpb, t.number, t.end) for t, bpb in scored),
        "best_val_bpb": tuple(Point(best, t.number, t.end) for t, best in story.best_so_far()),
    }
    if run.finished:
        series["confirmed_gain_over_gpu_seconds"] = _stairs(run)
        series |= scalars({**gain_metrics(run), "baseline_bpb": run.baseline_bpb, "trunk_bpb": run.trunk_bpb})
    return RunImage(
        key=key,
        parent=run.organization,
        name=f"{run.organization} seed {run.seed}",
        origin=place.journal,
        origin_t=run.makespan_s,
        tags={
            "level": "org run",
            "organization": run.organization,
            "seed": str(run.seed),
            "mlflow.note.content": record_note(run),
            "run": place.path.resolve().parent.parent.name,
        },
        params={**params, "seed": str(run.seed), **{f"target.{k}": v for k, v in story.started.target.items()}},
        series=series,
        artifacts=_existing(
            {
                "journal.jsonl": place.journal,
                "confirmation.jsonl": place.confirmations,
                "transcripts": place.transcripts,
            }
        )
        if run.finished
        else {},
        texts=org_run_pictures(run, story) if run.finished else {},
        ends=run.makespan_s if run.finished else None,
    )


def _stairs(run: OrgRunResult) -> tuple[Point, ...]:
    """The anytime curve with both ends of every step, because MLflow joins points by straight lines."""
    points: list[Point] = []
    for point in run.anytime:
        step = round(point.gpu_hours * 3600)
        if points and step - 1 > points[-1].step:
            points.append(Point(points[-1].value, step - 1))
        points.append(Point(point.gain_bpb, step))
    end = round(run.gpu_hours * 3600)
    return (*points, Point(points[-1].value, end)) if points and end > points[-1].step else tuple(points)


def _experiment(story: Story, training: Training) -> RunImage:
    started, experiment = story.started, training.experiment
    what = describe(training.changes) or ("baseline" if not experiment.config else "trunk")
    repeat = f" repeat {experiment.repeat}" if experiment.repeat else ""
    curve = training.result.curve
    judged = training.fate in ("merged", "branch", "discarded")
    summary = {
        "seconds": training.result.seconds,
        "val_bpb": training.bpb,
        "delta_bpb": training.delta if judged else None,
    }
    learning = tuple(Point(p.bpb, round(1000 * p.fraction), p.seconds) for p in curve)
    return RunImage(
        key=f"{started.organization}/seed-{started.seed}/{experiment.id}",
        parent=f"{started.organization}/seed-{started.seed}",
        name=f"{experiment.id} {what}{repeat}",
        tags={
            "level": "experiment",
            "organization": started.organization,
            "seed": str(started.seed),
            "state": training.result.state,
            "fate": training.fate,
            "purpose": experiment.purpose,
            "author": training.author,
            "hypothesis": training.proposal.hypothesis if training.proposal else "",
            "device": training.device,
        },
        params={name: str(value) for name, value in experiment.config.items()},
        series={**scalars(summary), **({"learning_curve_bpb": learning} if learning else {})},
        begins=training.start,
        ends=training.end,
        failed=training.result.state not in ("ok", "stopped"),
    )


def _existing(paths: Mapping[str, Path]) -> dict[str, Path]:
    return {name: path for name, path in paths.items() if path.exists()}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _flag(value: bool) -> str:
    return str(value).lower()
