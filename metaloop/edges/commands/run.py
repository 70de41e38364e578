"""``metaloop run``: org runs on a backend, confirmed and measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from metaloop.edges.commands.options import default_out, make_terms, mirror_option, organization_folders, run_options
from metaloop.edges.commands.thinking_options import models_by_organization, thinking_options
from metaloop.edges.means import Means, means_of, meters_of, settle
from metaloop.files.org_file import read_organization, with_model
from metaloop.files.run_folder import RunFolder, RunTerms, held
from metaloop.vocabulary.errors import BackendError, StorageError, UsageError
from metaloop.vocabulary.models import UNLIMITED

if TYPE_CHECKING:
    from metaloop.edges.progress import Progress
    from metaloop.execution.ray_metrics import Meters


@click.command("run")
@click.argument("organizations", nargs=-1, type=click.Path(path_type=Path), metavar="ORG...")
@run_options
@mirror_option
@thinking_options
@click.option(
    "--sources",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="Where scouts look for ideas, as YAML [default: the sources.yaml that is shipped: arXiv and GitHub].",
)
@click.option(
    "--lessons",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="What earlier org runs found (see `metaloop lessons gather`), for organizations with `lessons: true`.",
)
@click.option(
    "--max-gpu-hours",
    type=click.FloatRange(0.0),
    default=0.0,
    help="The most that all org runs and confirmations together may take [default: no limit].",
)
@click.option(
    "--lanes",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="--backend ray: org runs side by side, each with --devices of its own.",
)
def run_command(organizations: tuple[Path, ...], **options: Any) -> None:
    """Run organizations (folders with an ORG.md), confirm what they found, and compare them.

    Each org run gets its own budget and seed. Afterwards the harness retrains every trunk commit on fresh paired
    seeds and unseen data: that difference is the gain. The folder holds journals, git repositories, results.json
    and report.html; MLflow gets everything too (MLFLOW_TRACKING_URI, by default a SQLite file here).

    \b
    Examples:
      metaloop run orgs/solo-greedy orgs/no-op --gpu-hours 0.02 --devices 2
      metaloop run orgs/* --seeds 3 --gpu-hours 0.05 --json > results.json
      metaloop run orgs/prose-* orgs/tpe --model some-model --model tpe=scripted --models my-models.yaml
    """
    from metaloop.edges import session
    from metaloop.edges.outside import lessons_for, sources_for
    from metaloop.edges.thinking import check_thinking

    folders = organization_folders(organizations)
    models = models_by_organization(options["model"], folders)
    files = [with_model(read_organization(folder), models.get(name, "")) for name, folder in folders.items()]
    terms = make_terms(options, tuple(folders), {})
    target = session.target_of(terms)
    outside = {
        "sources": sources_for(files, options["sources"]),
        "lessons": lessons_for(files, options["lessons"], target),
    }
    terms = msgspec.structs.replace(
        terms, **outside, max_gpu_hours=options["max_gpu_hours"], lanes=_lanes(options, terms)
    )
    check_thinking([session.check_runnable(file, target, terms.thinkers.names) for file in files], terms)
    folder = session.create(options["out"] or default_out("run"), terms, folders, models)
    try:
        carry_out(folder, means_of(options))
    except (BackendError, StorageError, UsageError):
        session.discard_if_empty(folder)
        raise


def _lanes(options: dict[str, Any], terms: RunTerms) -> int:
    """How many org runs go on at a time.

    Raises:
        UsageError: lanes do not go together with the other options.
    """
    lanes: int = options["lanes"]
    if lanes > 1 and terms.backend == "sim":
        raise UsageError("--lanes is for real org runs, but --backend is sim, which has no time to save. Drop it.")
    if lanes > 1 and terms.total_allowance != UNLIMITED:
        raise UsageError(
            "--max-total-tokens and --max-total-usd need to know what earlier org runs thought for before the next one "
            "begins, but --lanes begins several at a time. Drop one, or limit each org run (--max-tokens, --max-usd)."
        )
    return lanes


def carry_out(folder: RunFolder, means: Means) -> None:
    """Do what a run's folder still lacks, and say what came out. Also what ``resume`` does."""
    from metaloop.edges import session
    from metaloop.edges.mirror import mirrored
    from metaloop.edges.outcome import show_results
    from metaloop.edges.progress import Progress
    from metaloop.edges.tracking import finish_tracker, start_tracker

    meters = meters_of(means)
    several = folder.read_terms().lanes > 1
    progress = Progress(lines_only=several, also=meters.org_run if meters else None)
    progress.say(f"run folder: {folder.path} (if interrupted: metaloop resume {folder.path})")
    with held(folder.path), mirrored(folder.path, means.mirror, progress):
        tracker = start_tracker(folder.path) if means.track else None
        try:
            _execute(folder, means, progress, meters)
            results = session.conclude(folder)
        finally:
            problem = finish_tracker(tracker, timeout=60.0) if tracker else None
    if problem:
        progress.say(f"MLflow has not got everything: {problem}")
    show_results(folder, results, means.as_json)


def _execute(folder: RunFolder, means: Means, progress: Progress, meters: Meters | None) -> None:
    """Do what is missing; the last figures are sent before the devices are given back."""
    from metaloop.edges import lanes, session

    terms = folder.read_terms()
    if terms.lanes > 1:
        progress.say(f"starting Ray and {terms.lanes} lanes of {terms.devices} devices …")
        with lanes.open_lanes(terms, means, terms.lanes, progress) as backends:
            lanes.execute(folder, backends, progress)
            settle(meters)
    else:
        with session.open_backend(terms, means, progress) as backend:
            session.execute(folder, backend, progress)
            settle(meters)
