"""``metaloop check``: is every role file and organization well-formed?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec

from metaloop.files.markdown import shown
from metaloop.files.org_file import ORG_FILE, organization_faults, read_organization
from metaloop.files.org_reader import no_organization, organizations_at
from metaloop.files.role_file import NOT_ROLES, load_role, role_faults
from metaloop.vocabulary.errors import FileError, UsageError

EXIT_FAULTS = 2


class Checked(msgspec.Struct, frozen=True):
    """The verdict on one role file or organization."""

    path: str
    kind: str
    ok: bool
    about: str
    errors: tuple[dict[str, str | int | None], ...] = ()


class CheckedAll(msgspec.Struct, frozen=True):
    """What ``check --json`` prints."""

    ok: bool
    checked: tuple[Checked, ...]


@click.command("check")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check role files and organizations.

    A PATH is a role file, an organization's folder, its ORG.md, or a folder of these; by default ./orgs and ./roles.
    Every fault is one line on standard error; the exit code is 2 if there is any.
    """
    checked: list[Checked] = []
    told: set[str] = set()
    for path in dict.fromkeys(_targets(paths or _default_paths())):
        faults = list(_faults(path))
        checked.append(_verdict(path, faults))
        for line in dict.fromkeys(map(str, faults)):
            if line not in told:
                click.echo(line, err=True)
        told.update(map(str, faults))
        if not faults and not as_json:
            click.echo(f"ok  {checked[-1].path}  {checked[-1].about}")
    if as_json:
        click.echo(msgspec.json.encode(CheckedAll(not told, tuple(checked))))
    if told:
        raise click.exceptions.Exit(EXIT_FAULTS)


def _default_paths() -> tuple[Path, ...]:
    found = tuple(path for path in (Path("orgs"), Path("roles")) if path.is_dir())
    if not found:
        raise UsageError("found neither ./orgs nor ./roles, expected one of them. Name what to check, or change there.")
    return found


def _targets(paths: Iterable[Path]) -> Iterator[Path]:
    """Role files and organization folders under ``paths``."""
    for path in paths:
        if path.name == ORG_FILE:
            yield path.parent
        elif not path.is_dir() or (path / ORG_FILE).exists():
            yield path
        elif (path / "orgs").is_dir() or (path / "roles").is_dir():
            yield from _targets(folder for folder in (path / "orgs", path / "roles") if folder.is_dir())
        else:
            yield from _inside(path)


def _inside(folder: Path) -> Iterator[Path]:
    """The organizations and roles of a folder of them; the folder itself where it holds none."""
    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    found = [place for path in inside for place in organizations_at(path) if _is_target(place)]
    yield from found or [folder]


def _is_target(path: Path) -> bool:
    if path.is_dir():
        return any(path.glob("*.md"))
    return path.suffix == ".md" and path.name not in NOT_ROLES


def _faults(path: Path) -> Iterator[FileError]:
    if not path.is_dir():
        yield from role_faults(path)
    elif not (path / ORG_FILE).exists():
        yield no_organization(path)
    else:
        yield from organization_faults(path)
        for role in sorted(path.glob("*.md")):
            if role.name not in NOT_ROLES:
                yield from role_faults(role)


def _verdict(path: Path, faults: list[FileError]) -> Checked:
    kind = "organization" if path.is_dir() else "role"
    errors = {str(fault): {"path": str(fault.path), "line": fault.line, "message": fault.message} for fault in faults}
    about = "" if faults else _about(path)
    return Checked(str(shown(path)), kind, not faults, about, tuple(errors.values()))


def _about(path: Path) -> str:
    """``3 members: 2 proposers, 1 merger`` of an organization, the kind of a role."""
    if not path.is_dir():
        return load_role(path).kind
    organization = read_organization(path).to_organization()
    kinds = Counter(member.kind for member in organization.members)
    parts = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items()]
    control = ", a control" if organization.control else ""
    return f"{len(organization.members)} members: {', '.join(parts)}{control}"
