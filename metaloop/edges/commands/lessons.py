"""``metaloop lessons``: memory across org runs, as a file."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from metaloop.files.run_folder import read_json, write_json
from metaloop.vocabulary.lessons import Lesson, Lessons

MOST_SHOWN = 20
"""Dead ends that are printed; `--json` has all."""


@click.group("lessons")
def lessons_group() -> None:
    """What earlier org runs found, for organizations with `lessons: true`."""


@lessons_group.command("gather")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write.")
@click.option("--json", "as_json", is_flag=True, help="The file's content on standard output, too.")
def gather_command(runs: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Gather dead ends and confirmed wins of all org runs in the folders RUN.

    Effects of merges are those that confirmation measured on the holdout split; the confirm split, on which every
    organization is reported, is never told.

    \b
    Example:
      metaloop lessons gather runs/run-20261123-101530 --out lessons.json
      metaloop run orgs/my-org --lessons lessons.json
    """
    from metaloop.meta.lessons import gather

    lessons = gather(runs)
    write_json(out, lessons)
    if as_json:
        click.echo(msgspec.json.encode(lessons))
        return
    counts = ", ".join(f"{sum(one.kind == kind for one in lessons.lessons)} {name}" for kind, name in _KINDS)
    click.echo(f"{out}: {counts}, from {len(lessons.gathered_from)} org runs")


_KINDS = (("win", "confirmed wins"), ("unsure", "merges that were not confirmed"), ("dead end", "dead ends"))


@lessons_group.command("show")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def show_command(file: Path, as_json: bool) -> None:
    """Print a file of lessons: wins first, each with effect, 95 % interval and n.

    \b
    Example:
      metaloop lessons show lessons.json
    """
    lessons = read_json(file, Lessons)
    if as_json:
        click.echo(msgspec.json.encode(lessons))
        return
    click.echo(f"target: {', '.join(f'{key} {value}' for key, value in lessons.target.items())}")
    click.echo(f"from: {', '.join(lessons.gathered_from)}")
    for kind, name in _KINDS:
        found = [one for one in lessons.lessons if one.kind == kind]
        click.echo(f"\n{len(found)} {name}")
        shown = found[-MOST_SHOWN:]
        for lesson in shown:
            click.echo(f"  {lesson_line(lesson)}")
        if len(found) > len(shown):
            click.echo(f"  and {len(found) - len(shown)} earlier ones (--json has all)")


def lesson_line(lesson: Lesson) -> str:
    """``lr=0.02 over the baseline: -0.0310 bpb [-0.0402, -0.0218], n = 4``."""
    changes = ", ".join(f"{name}={value}" for name, value in sorted(lesson.changes.items()))
    base = f"{len(lesson.base)} earlier changes" if lesson.base else "the baseline"
    whole = "a whole trunk: " if lesson.whole else ""
    return f"{whole}{changes} over {base}: {effect(lesson)}  ({lesson.source})"


def effect(lesson: Lesson) -> str:
    """What came of it, honestly: mean, interval, n; one value is said to be one seed."""
    if lesson.delta is None:
        return f"{lesson.state}, no score; {'one seed' if lesson.one_seed else f'n = {lesson.n}'}"
    if lesson.ci95 is None:
        return f"{lesson.delta:+.4f} bpb, one seed only"
    over = f"{lesson.n} org runs" if lesson.org_runs > 1 else f"n = {lesson.n}"
    return f"{lesson.delta:+.4f} bpb [{lesson.ci95[0]:+.4f}, {lesson.ci95[1]:+.4f}], {over}"
