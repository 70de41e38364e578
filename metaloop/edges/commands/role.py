"""``metaloop role new`` and ``metaloop role show``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from metaloop.files.form import KEBAB, Policy
from metaloop.files.markdown import shown
from metaloop.files.org_file import ORG_FILE, OrgFile, read_organization
from metaloop.files.org_reader import find_library, find_role, known_roles
from metaloop.files.policies import NAME_LISTS, POLICIES
from metaloop.files.role_file import KINDS, RoleFile, bounds, effective_policy, load_role, render_prompt, show_value
from metaloop.files.role_template import new_role
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.organization import RoleKind
from metaloop.vocabulary.space import Knob
from metaloop.vocabulary.text import nearest

LIBRARY = Path("roles")
ORGANIZATIONS = Path("orgs")
WIDTH = 100


class Terms(msgspec.Struct, frozen=True):
    """A role's policy as some members hold it: each value, who set it, and the prompt made of it."""

    members: tuple[str, ...]
    policy: Policy
    set_by: dict[str, str]
    prompt: str


class ShownRole(msgspec.Struct, frozen=True):
    """What ``role show --json`` prints: the role, its terms (one for each entry of the organization that holds it), and
    the numeric knobs of its kind."""

    name: str
    path: str
    description: str
    kind: RoleKind
    model: str
    tools: tuple[str, ...]
    terms: tuple[Terms, ...]
    knobs: tuple[Knob, ...]


@click.group("role")
def role_group() -> None:
    """Write a new role file, or look at one."""


@role_group.command("new")
@click.argument("name")
@click.option("--kind", required=True, type=click.Choice(KINDS), help="What the role does.")
@click.option("--local", metavar="ORG", help="Write it into this organization's folder instead of ./roles.")
def new_command(name: str, kind: RoleKind, local: str | None) -> None:
    """Write NAME.md from a template that lists every knob of its kind. Never overwrites."""
    if not KEBAB.match(name):
        raise UsageError(f"NAME must be lower-case words joined by '-', got {name!r}. Try 'careful-proposer'.")
    folder = _organization_folder(local) if local else LIBRARY
    path = folder / f"{name}.md"
    folder.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(new_role(name, kind))
    except FileExistsError:
        raise UsageError(f"{shown(path)} exists and is not overwritten. Choose another name, or edit it.") from None
    click.echo(f"wrote {shown(path)}. Edit it, then run: metaloop check {shown(path)}")


@role_group.command("show")
@click.argument("name_or_path")
@click.option("--org", "organization", metavar="ORG", help="As this organization's members hold it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_command(name_or_path: str, organization: str | None, as_json: bool) -> None:
    """Show a role's effective policy, with bounds, meanings and who set each value, and the prompt made of it."""
    source = read_organization(_organization_folder(organization)) if organization else None
    role = _find(name_or_path, source)
    terms = list(_terms(role, source))
    if as_json:
        click.echo(msgspec.json.encode(_record(role, terms)))
        return
    click.echo(f"{role.name}: {role.kind}, model {role.model} ({shown(role.path)})\n{role.description}")
    for each in terms:
        if each.members:
            click.echo(f"\nAs held by {', '.join(each.members)}")
        _print_policy(role.kind, each)
        click.echo(f"Rendered prompt:\n\n{each.prompt}")


def _organization_folder(name_or_path: str) -> Path:
    """An organization's folder, by path or by name under ./orgs."""
    for folder in (Path(name_or_path), ORGANIZATIONS / name_or_path):
        if (folder / ORG_FILE).is_file():
            return folder
    raise UsageError(
        f"no organization {name_or_path!r} here or in ./orgs, expected a folder with {ORG_FILE}. Name one."
    )


def _find(name_or_path: str, source: OrgFile | None) -> RoleFile:
    if source is not None and name_or_path in source.roles:
        return source.roles[name_or_path]
    if name_or_path.endswith(".md"):
        return load_role(Path(name_or_path))
    folder = source.folder if source else None
    library = find_library(source.folder) if source else LIBRARY
    path = find_role(name_or_path, folder, library)
    if path is None:
        close = nearest(name_or_path, known_roles(folder, library))
        raise UsageError(f"no role {name_or_path!r} in {library}{close}. Name a role of the library, or a path.")
    return load_role(path)


def _terms(role: RoleFile, source: OrgFile | None) -> Iterator[Terms]:
    """The role's terms: once for each entry of the organization that uses it, else as the file has it."""
    named = list(source.named_members()) if source else []
    entries = [entry for entry in (source.members if source else ()) if entry.role == role.name]
    for entry in entries:
        members = tuple(name for name, held in named if held is entry)
        yield _terms_of(role, members, entry.policy, source.charter if source else "")
    if not entries:
        yield _terms_of(role, (), {}, source.charter if source else "")


def _terms_of(role: RoleFile, members: tuple[str, ...], overrides: Policy, charter: str) -> Terms:
    policy = effective_policy(role, overrides)
    set_by = {
        name: "organization" if name in overrides else "role" if name in role.policy else "default" for name in policy
    }
    return Terms(members, policy, set_by, render_prompt(role, policy, charter))


def _record(role: RoleFile, terms: list[Terms]) -> ShownRole:
    return ShownRole(
        name=role.name,
        path=str(shown(role.path)),
        description=role.description,
        kind=role.kind,
        model=role.model,
        tools=role.tools,
        terms=tuple(terms),
        knobs=POLICIES[role.kind].knobs,
    )


def _print_policy(kind: RoleKind, terms: Terms) -> None:
    """Two lines a knob (name, value, who set it, bounds; its meaning), which read well at any width."""
    about = [(knob.name, bounds(knob), knob.meaning) for knob in POLICIES[kind]]
    about += [(name, "a list of names", meaning) for name, meaning in NAME_LISTS[kind].items()]
    click.echo("\nPolicy")
    for name, allowed, meaning in about:
        value = show_value(terms.policy[name])
        click.echo(f"  {name + ' = ' + value:34}{terms.set_by[name]:14}{allowed}")
        click.echo(click.wrap_text(meaning, WIDTH, "      ", "      "))
    click.echo()
