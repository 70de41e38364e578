"""``metaloop scout``: what a scout would find, without an organization around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from metaloop.files.policies import POLICIES, defaults
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Idea
from metaloop.vocabulary.sources import Source
from metaloop.vocabulary.text import nearest

MOST = int(POLICIES["scout"]["most_new"].high or 0)


class Sighting(msgspec.Struct, frozen=True):
    """What ``scout --json`` prints: ideas, and a note on what could not be looked at."""

    ideas: tuple[Idea, ...]
    note: str
    seconds: float


@click.command("scout")
@click.option(
    "--query", "queries", multiple=True, help="What to search for; repeat for more. Feeds and folders need none."
)
@click.option(
    "--sources",
    "sources_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="Where to look, as YAML [default: the sources.yaml that is shipped: arXiv and GitHub].",
)
@click.option("--source", "names", multiple=True, help="Look in this source of the file only; repeat for more.")
@click.option("--most", type=click.IntRange(1, MOST), default=10, show_default=True, help="Most ideas.")
@click.option(
    "--notes",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Also write each idea as a note into this folder, which may be a source itself: what simulated runs can read.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def scout_command(sources_file: Path | None, names: tuple[str, ...], notes: Path | None, **options: Any) -> None:
    """Look for ideas as a scout does: papers, repositories, feeds, notes.

    Replies are kept in ~/.cache/metaloop/scout, and servers asked no more often than they wish. A GitHub token is read
    from the environment variable that the sources file names.

    \b
    Examples:
      metaloop scout --query "muon optimizer" --query warmup
      metaloop scout --query "muon optimizer" --source arxiv --notes notes/ --json
    """
    from metaloop.files.sources_file import read_sources

    sources = _chosen(read_sources(sources_file) if sources_file else read_sources(), names)
    found = _look(sources, options["queries"], options["most"])
    if notes is not None:
        write_notes(found.ideas, notes)
    if options["as_json"]:
        click.echo(msgspec.json.encode(found))
        return
    for idea in found.ideas:
        click.echo(idea_lines(idea))
    click.echo(f"{len(found.ideas)} ideas{f'; {found.note}' if found.note else ''}", err=True)


def _chosen(sources: tuple[Source, ...], names: tuple[str, ...]) -> tuple[Source, ...]:
    known = [source.name for source in sources]
    for name in names:
        if name not in known:
            raise UsageError(f"no source is called {name!r}{nearest(name, known)}. Known: {', '.join(known)}.")
    return tuple(source for source in sources if not names or source.name in names)


def _look(sources: tuple[Source, ...], queries: tuple[str, ...], most: int) -> Sighting:
    """Ask a scout once, of whom nothing else is known."""
    from metaloop.brains.scout.scouting import Scout
    from metaloop.edges.outside import cache_folder
    from metaloop.execution.nanogpt_trainer import knobs
    from metaloop.vocabulary.decisions import Observation
    from metaloop.vocabulary.records import TRUNK, Head
    from metaloop.vocabulary.sources import ScoutTerms
    from metaloop.vocabulary.space import Space

    policy = {**defaults("scout"), "queries": queries, "most_new": most}
    member = Member("scout", "scout", "scout", policy, "scripted", "")
    scout = Scout(member, Space(knobs()), ScoutTerms(sources, cache_folder()))
    found = scout.decide(Observation("scout", 0, Head(TRUNK, "", {}, {}, 0), 0.0))
    return Sighting(found.ideas, found.note, round(found.cost.seconds, 3))


def idea_lines(idea: Idea) -> str:
    """An idea for people: text, then source, link and changes."""
    changes = ", ".join(f"{name}={value}" for name, value in idea.changes.items())
    about = "  ".join(part for part in (idea.source, idea.link, changes) if part)
    return f"{idea.text}\n    {about}"


def write_notes(ideas: tuple[Idea, ...], folder: Path) -> None:
    """Each idea as a note with front matter, as :mod:`metaloop.brains.scout.notes` reads it."""
    from metaloop.brains.scout.sameness import BETWEEN

    folder.mkdir(parents=True, exist_ok=True)
    for idea in ideas:
        title, _, text = idea.text.partition(BETWEEN)
        fields: dict[str, Any] = {"title": title, "link": idea.link, "changes": idea.changes}
        front = "\n".join(f"{key}: {msgspec.json.encode(value).decode()}" for key, value in fields.items() if value)
        (folder / f"{idea.id}.md").write_text(f"---\n{front}\n---\n{text}\n", encoding="utf-8")
