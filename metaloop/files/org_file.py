"""An organization's folder: ``ORG.md`` (members, sharing, cadence; the charter below) and role files of its own.

A role file in the folder shadows the one of the same name in the library: the ``roles/`` of the nearest ancestor
that has one. An evolved organization is written whole, so that its folder alone reproduces it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from metaloop.files.markdown import Document, read, shown
from metaloop.files.markdown_edit import set_value
from metaloop.files.org_reader import (
    ORG_FILE,
    examine_organization,
    find_library,
    no_organization,
    parse_organization,
)
from metaloop.files.org_record import MemberEntry, OrgFile
from metaloop.files.org_space import MEMBER_SPACE, ORG_SPACE, keys_of
from metaloop.vocabulary.errors import FileError, OrgFileError
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.text import nearest

__all__ = [
    "MEMBER_SPACE",
    "ORG_FILE",
    "ORG_SPACE",
    "MemberEntry",
    "OrgFile",
    "check_focus",
    "find_library",
    "keys_of",
    "load_organization",
    "organization_faults",
    "parse_organization",
    "read_organization",
    "with_model",
    "write_files",
    "write_whole",
]


def load_organization(path: Path, library: Path | None = None) -> Organization:
    """The organization in a folder (or whose ORG.md is named), ready to run.

    Raises:
        OrgFileError: the first thing wrong with its ORG.md.
        RoleFileError: a role that it uses is wrong.
    """
    return read_organization(path, library).to_organization()


def read_organization(path: Path, library: Path | None = None) -> OrgFile:
    """The organization in a folder as written, with its documents; errors as :func:`load_organization`."""
    document = _read(path)
    return parse_organization(document, library or find_library(document.path.parent))


def organization_faults(path: Path, library: Path | None = None) -> list[FileError]:
    """Everything wrong with an organization's folder and the roles it uses."""
    try:
        document = _read(path)
    except FileError as fault:
        return [fault]
    return examine_organization(document, library or find_library(document.path.parent))[1]


def _read(path: Path) -> Document:
    file = path if path.name == ORG_FILE else path / ORG_FILE
    if path.is_dir() and not file.exists():
        raise no_organization(path)
    return read(file, OrgFileError)


def write_whole(organization_folder: Path, destination: Path, model: str = "") -> OrgFile:
    """Write an organization and every role file it uses into a new folder; see :func:`write_files`.

    ``model``, if given, takes the place of the organization's own: it decides for all who inherit it.
    """
    return write_files(with_model(read_organization(organization_folder), model), destination)


def with_model(organization: OrgFile, model: str) -> OrgFile:
    """The same with another model for all who inherit it; where ``model`` is empty, as it is."""
    if not model:
        return organization
    return replace(organization, document=set_value(organization.document, ("model",), model), model=model)


def write_files(organization: OrgFile, destination: Path) -> OrgFile:
    """Write ORG.md and every role used into ``destination``, whole or not at all, and return what was written.

    Files are copied byte for byte; only ``name`` changes where the new folder is called otherwise.

    Raises:
        OrgFileError: ``destination`` is there already and is not an empty folder.
    """
    document = set_value(organization.document, ("name",), Path(os.path.abspath(destination)).name)
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        (temporary / ORG_FILE).write_bytes(document.encode())
        for name, role in organization.roles.items():
            (temporary / f"{name}.md").write_bytes(role.document.encode())
        temporary.chmod(0o755)
        temporary.rename(destination)
    except OSError as problem:
        message = f"cannot be written: {problem.strerror}. Choose a new folder."
        raise OrgFileError(shown(destination), None, message) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_organization(destination)


def check_focus(organization: Organization, groups: tuple[str, ...], source: OrgFile | None = None) -> None:
    """Check that every member's ``focus`` names knob groups of the target; only the target knows them.

    ``source`` lets the error point at the line.

    Raises:
        OrgFileError: a focus names no group.
    """
    for index, member in enumerate(organization.members):
        focus = member.policy.get("focus", ())
        for group in focus if isinstance(focus, tuple) else ():
            if group not in groups:
                path, line = _where(organization, index, source)
                found = f"focus of {member.name} names {group!r}, no knob group of the target"
                raise OrgFileError(path, line, f"{found}{nearest(group, groups)}. Choose from {', '.join(groups)}.")


def _where(organization: Organization, index: int, source: OrgFile | None) -> tuple[Path, int | None]:
    """The line that set a member's focus: in ORG.md where it overrides, else in the role file."""
    if source is None:
        return Path("orgs") / organization.name / ORG_FILE, None
    entries = [number for number, entry in enumerate(source.members) for _ in range(entry.count)]
    entry = source.members[entries[index]]
    document = source.document if "focus" in entry.policy else source.roles[entry.role].document
    keys = ("members", entries[index], "policy", "focus") if "focus" in entry.policy else ("org", "policy", "focus")
    return shown(document.path), document.line(*keys)
