"""``metaloop evolve``: mutate an organization's policies and race the children on real org runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from metaloop.edges.commands.options import default_out, make_terms, run_options
from metaloop.files.org_file import write_files, write_whole
from metaloop.files.run_folder import RunFolder, read_json, write_json
from metaloop.meta.evolution import (
    Child,
    EvolutionFolder,
    EvolutionTerms,
    Generation,
    breed,
    generation_terms,
    judge,
    load_elite,
    make_child,
)
from metaloop.meta.results import OrganizationResult, Results
from metaloop.vocabulary.errors import UsageError


class EvolutionResults(msgspec.Struct, frozen=True):
    """What ``evolve --json`` prints: the last generation's organizations, the lineage, the winner's folder."""

    organizations: tuple[OrganizationResult, ...]
    generations: tuple[Generation, ...]
    winner: str
    evolved: str
    terms: EvolutionTerms
    out: str


@click.command("evolve")
@click.argument("organization", type=click.Path(path_type=Path), metavar="ORG")
@click.option("--generations", type=click.IntRange(1, 20), default=1, show_default=True, help="Rounds of children.")
@click.option("--population", type=click.IntRange(1, 32), default=2, show_default=True, help="Children in a round.")
@click.option(
    "--mutations", type=click.IntRange(1, 12), default=3, show_default=True, help="Policy knobs a child changes."
)
@run_options
def evolve_command(organization: Path, generations: int, population: int, mutations: int, **options: Any) -> None:
    """Mutate an organization's policy knobs and race the children against their parent on real org runs.

    Optuna draws a few knobs anew for each child; parent and children run on the same fresh seeds, and the best on
    the holdout split goes on. The winner is written whole to DIR/evolved/, so that `git diff` (or diff -r) against
    its parent reads like a review. This is the small form: the gains have intervals, but one or two
    generations of a few org runs show a direction, not a proof.

    \b
    Example:
      metaloop evolve orgs/daily-standup --population 3 --gpu-hours 0.02 --seeds 2
    """
    from metaloop.edges import session
    from metaloop.files.org_file import read_organization

    parent = read_organization(organization)
    out = options["out"] or default_out("evolve")
    folder = EvolutionFolder(out)
    if folder.terms.exists():
        raise UsageError(f"{out} already holds an evolution. Continue it with `metaloop resume {out}`.")
    terms = EvolutionTerms(parent.name, parent.name, generations, population, mutations, make_terms(options, (), {}))
    session.check_runnable(parent, session.target_of(terms.run))
    write_whole(parent.folder, folder.parent(parent.name))
    write_json(folder.terms, terms)
    carry_out_evolution(folder, options["address"], options["as_json"], not options["no_mlflow"])


def carry_out_evolution(folder: EvolutionFolder, address: str | None, as_json: bool, track: bool) -> None:
    """Do what an evolution's folder still lacks, and say what came out."""
    from metaloop.edges import session
    from metaloop.edges.outcome import print_json
    from metaloop.edges.progress import Progress

    terms = read_json(folder.terms, EvolutionTerms)
    progress = Progress()
    progress.say(f"evolution folder: {folder.path} (if interrupted: metaloop resume {folder.path})")
    done: list[Generation] = []
    with session.open_backend(terms.run, address, progress) as backend:
        for number in range(1, terms.generations + 1):
            children = _prepare(folder, terms, number, done, progress)
            session.execute(folder.generation(number), backend, progress)
            elite = load_elite(folder, terms, done).name
            done.append(judge(folder.generation(number), number, elite, children))
            write_json(folder.lineage, done)
    results = [_conclude(folder.generation(g.number), track, progress) for g in done]
    summary = _summarize(folder, terms, done, results[-1])
    write_json(folder.results, summary)
    if as_json:
        print_json(summary)
    else:
        _show(folder, results, summary)


def _prepare(
    folder: EvolutionFolder, terms: EvolutionTerms, number: int, done: list[Generation], progress: Any
) -> list[Child]:
    """The generation's folder with the elite and its children, made unless it stands; the same again on resume."""
    from metaloop.edges import session

    elite = load_elite(folder, terms, done)
    children = breed(elite, terms, number, _past(folder, done))
    place = folder.generation(number)
    for child in children:
        changes = ", ".join(f"{name} -> {value}" for name, value in child.values.items()) or "nothing (null mutation)"
        progress.say(f"{child.name}: {changes}")
    if place.terms.exists():
        return children
    sources = {elite.name: elite.folder}
    for child in children:
        nursery = place.path / "children" / child.name
        if not nursery.exists():
            write_files(make_child(elite, child), nursery)
        sources[child.name] = nursery
    session.create(place.path, generation_terms(terms, number, tuple(sources), elite.name), sources)
    return children


def _past(folder: EvolutionFolder, done: list[Generation]) -> list[Any]:
    from metaloop.files.org_file import read_organization

    return [
        (read_organization(folder.generation(g.number).organizations / name), gain)
        for g in done
        for name, gain in g.holdout_gains.items()
        if gain is not None
    ]


def _conclude(place: RunFolder, track: bool, progress: Any) -> Results:
    from metaloop.edges import session
    from metaloop.edges.tracking import finish_tracker, start_tracker

    results = session.conclude(place)
    if track:
        problem = finish_tracker(start_tracker(place.path), timeout=120.0)
        if problem:
            progress.say(f"MLflow has not got everything: {problem}")
    return results


def _summarize(
    folder: EvolutionFolder, terms: EvolutionTerms, done: list[Generation], last: Results
) -> EvolutionResults:
    """Write the winner whole, and gather what is printed."""
    winner = done[-1].winner
    evolved = folder.evolved(winner)
    if not evolved.exists():
        write_whole(folder.generation(done[-1].number).organizations / winner, evolved)
    return EvolutionResults(last.organizations, tuple(done), winner, str(evolved), terms, str(folder.path))


def _show(folder: EvolutionFolder, results: list[Results], summary: EvolutionResults) -> None:
    from metaloop.edges.leaderboard import print_leaderboard

    print_leaderboard([results[-1]])
    parent = folder.parent(summary.terms.parent)
    click.echo()
    if summary.winner == summary.terms.parent:
        click.echo("No child beat the parent on the holdout split; it stays the elite.")
    else:
        click.echo(f"Winner          {summary.winner} (best on the holdout split; the gains above are on confirm)")
        click.echo(f"What changed    diff -r {parent} {summary.evolved}")
    click.echo(f"Report          {folder.generation(len(summary.generations)).report}")
