"""``metaloop idea``: people's way into a running organization's research queue, and what became of what is in it."""

from __future__ import annotations

import getpass
import hashlib
from pathlib import Path

import click
import msgspec

from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.files.run_folder import OrgRunFolder, RunFolder, append_line
from metaloop.meta.results import IdeaFate
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.records import Config, Idea
from metaloop.vocabulary.space import Knob, Space, Value


@click.group("idea")
def idea_group() -> None:
    """Hand ideas to a running organization; see what became of them."""


@idea_group.command("add")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("text")
@click.option("--set", "settings", multiple=True, metavar="KNOB=VALUE", help="What to try; repeat for several knobs.")
@click.option("--source", default=None, help="Where the idea comes from: a paper, a person [default: your name].")
@click.option("--link", default="", help="Where it can be read.")
def add_command(directory: Path, text: str, settings: tuple[str, ...], source: str | None, link: str) -> None:
    """Add an idea to the org runs in DIR (a run's folder, or one org run's).

    Scripted members can only use ideas with --set; prose alone is for model brains. An organization reads its
    inbox if its ORG.md says `inbox: true`.

    \b
    Example:
      metaloop idea add runs/run-20261123-101530 "Muon likes larger steps" --set matrix_lr=0.02
    """
    run = run_of(directory)
    terms = run.read_terms()
    space = describe(TrainerSpec(terms.trainer, terms.preset, terms.data)).space
    changes = parse_settings(space, settings)
    where = source or getpass.getuser()
    name = hashlib.sha256(repr((text, sorted(changes.items()), where)).encode()).hexdigest()[:10]
    idea = Idea(f"i-{name}", text, where, changes, link)
    places = _places(directory, run)
    for place in places:
        append_line(place.inbox, idea)
    click.echo(f"idea {idea.id} handed to {len(places)} org run{'s' if len(places) > 1 else ''}")


@idea_group.command("list")
@click.argument("directory", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def list_command(directory: Path, as_json: bool) -> None:
    """What became of every idea in RUN: who took it up, whether it was merged, and what that gained.

    Deltas are bpb differences, negative is better: `seen` by the merger on validation data, `confirmed` by the harness
    on fresh seeds and unseen data, with a 95 % interval where there are two pairs and more.

    \b
    Example:
      metaloop idea list runs/run-20261123-101530
    """
    from metaloop.meta.ideas import ideas_of_run
    from metaloop.meta.results import IdeaFates

    fates = ideas_of_run(directory)
    if as_json:
        click.echo(msgspec.json.encode(IdeaFates(tuple(fates))))
        return
    for fate in fates:
        click.echo(fate_lines(fate))
    merged = [fate for fate in fates if fate.merge is not None]
    click.echo(f"{len(fates)} ideas, {len(merged)} merged", err=True)


def fate_lines(fate: IdeaFate) -> str:
    """An idea and its fate for people."""
    place = "  ".join(part for part in (fate.source, fate.link) if part)
    took = f" as {', '.join(fate.proposals)}" if fate.proposals else ""
    trained = f", trained in {', '.join(fate.experiments)}" if fate.experiments else ""
    lines = [f"{fate.organization} seed {fate.seed}  {fate.idea}  {fate.text}", f"    from {place}"]
    return "\n".join([*lines, f"    {fate.status}{took}{trained}{_effect(fate)}"])


def _effect(fate: IdeaFate) -> str:
    told = "" if fate.delta is None else f"; seen {fate.delta:+.4f} bpb"
    if fate.confirmed_delta is not None:
        low, high = fate.confirmed_ci95 or (None, None)
        interval = "" if low is None else f" [{low:+.4f}, {high:+.4f}]"
        told += f"; confirmed {fate.confirmed_delta:+.4f}{interval}, n = {fate.pairs}"
    return f"{told}; with other changes" if fate.shared else told


def run_of(directory: Path) -> RunFolder:
    """The run that a folder is, or lies in."""
    for candidate in (directory, *directory.resolve().parents):
        if RunFolder(candidate).terms.exists():
            return RunFolder(candidate)
    raise UsageError(f"{directory} is no run's folder (there is no run.json in it or above it).")


def _places(directory: Path, run: RunFolder) -> list[OrgRunFolder]:
    """The org runs meant, among those whose organization reads its inbox."""
    from metaloop.files.org_file import load_organization

    terms = run.read_terms()
    readers = [n for n in terms.organizations if load_organization(run.organizations / n).inbox]
    places = [run.org_run(name, seed) for name in readers for seed in terms.org_run_seeds]
    if directory.resolve() != run.path.resolve():
        inside = directory.resolve()
        places = [p for p in places if p.path.resolve() == inside or inside in p.path.resolve().parents]
    if not places:
        raise UsageError(f"no organization in {directory} reads its inbox. Set `inbox: true` in its ORG.md.")
    return places


def parse_settings(space: Space, settings: tuple[str, ...]) -> Config:
    """``KNOB=VALUE`` texts as a checked change set."""
    changes: Config = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set wants KNOB=VALUE, got {setting!r}.")
        changes[name] = _parse(space[name], text)
    return space.validate(changes)


def _parse(knob: Knob, text: str) -> Value:
    """The text as the knob's kind of value; what cannot be read is left for the check to refuse."""
    if knob.kind == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    if not knob.numeric:
        return text
    try:
        return float(text)
    except ValueError:
        return text
