"""Reading ORG.md: fields against their tables, then what only the whole can tell (:func:`_cross_check`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metaloop.files.form import Form, Policy
from metaloop.files.markdown import Document, Keys, read, shown
from metaloop.files.org_record import MemberEntry, OrgFile
from metaloop.files.org_space import (
    CONTROL,
    MEMBER_SPACE,
    ORG_SPACE,
    cadence_keys,
    keys_of,
    known_top_keys,
    member_keys,
)
from metaloop.files.role_file import NOT_ROLES, RoleFile, examine_role
from metaloop.vocabulary.errors import FileError, OrgFileError, RoleFileError
from metaloop.vocabulary.organization import RoleKind
from metaloop.vocabulary.text import nearest

ORG_FILE = "ORG.md"
LIBRARY = "roles"


def find_library(folder: Path) -> Path | None:
    """The ``roles/`` beside the folder's nearest ancestor that has one."""
    for ancestor in Path(os.path.abspath(folder)).parents:
        if (ancestor / LIBRARY).is_dir():
            return ancestor / LIBRARY
    return None


def organizations_at(path: Path) -> list[Path]:
    """The folder of the organization at ``path``, which may be its ORG.md; where it holds organizations, theirs; of
    anything else the path itself."""
    if path.name == ORG_FILE:
        return [path.parent]
    inside = [] if (path / ORG_FILE).exists() else sorted(file.parent for file in path.glob(f"*/{ORG_FILE}"))
    return inside or [path]


def find_role(name: str, folder: Path | None, library: Path | None) -> Path | None:
    """The file of a role: the folder's own shadows the library's."""
    for place in (folder, library):
        if place is not None and (place / f"{name}.md").is_file():
            return place / f"{name}.md"
    return None


def known_roles(folder: Path | None, library: Path | None) -> list[str]:
    """Names of all role files that an organization in ``folder`` could use."""
    places = [place for place in (folder, library) if place is not None and place.is_dir()]
    return sorted({file.stem for place in places for file in place.glob("*.md") if file.name not in NOT_ROLES})


def examine_organization(
    document: Document, library: Path | None, edited: dict[str, Document] | None = None
) -> tuple[OrgFile, list[FileError]]:
    """The organization as far as it can be read, and everything wrong with it and the roles it uses.

    ``edited`` holds role documents that count instead of the files of the same name.
    """
    form, folder = Form(document), document.path.parent
    form.mapping((), known_top_keys(), ("name", "description", "members"))
    form.mapping(("cadence",), cadence_keys())
    roles = _Roles(folder, library, edited or {})
    org = OrgFile(
        folder,
        document,
        _name(form, folder),
        form.text(("description",)),
        _model(form),
        {knob.name: form.knob(keys_of(knob), knob) for knob in (*ORG_SPACE, CONTROL)},
        tuple(_members(form, roles)),
        roles.read,
        document.body.strip(),
    )
    if not form.faults and not roles.faults:
        _cross_check(form, org)
    return org, sorted(form.faults, key=lambda fault: fault.line or 0) + roles.faults


def parse_organization(document: Document, library: Path | None, edited: dict[str, Document] | None = None) -> OrgFile:
    """Check a document that was read (or edited) as an ORG.md.

    Raises:
        OrgFileError: the first thing wrong with it.
        RoleFileError: a role that it uses is wrong.
    """
    org, faults = examine_organization(document, library, edited)
    if faults:
        raise faults[0]
    return org


class _Roles:
    """The role files that the members name, each read once."""

    def __init__(self, folder: Path, library: Path | None, edited: dict[str, Document]) -> None:
        self.folder, self.library, self.edited = folder, library, edited
        self.read: dict[str, RoleFile] = {}
        self.faults: list[FileError] = []
        self._broken: set[str] = set()

    def get(self, name: str) -> RoleFile | None:
        """The role, ``None`` where there is no such file; a broken one is noted once and returned as far as read."""
        if name in self.read or name in self._broken:
            return self.read.get(name)
        path = find_role(name, self.folder, self.library)
        if name not in self.edited and path is None:
            return None
        try:
            role, faults = examine_role(self.edited.get(name) or read(path or Path(name), RoleFileError))
        except FileError as fault:
            self.faults.append(fault)
            self._broken.add(name)
            return None
        self.faults += faults
        self.read[name] = role
        return role

    def missing(self, name: str) -> bool:
        return name not in self.read and name not in self._broken


def _name(form: Form, folder: Path) -> str:
    name, expected = form.text(("name",), kebab=True), Path(os.path.abspath(folder)).name
    if name and name != expected:
        form.fault(("name",), f"name must equal the folder's name {expected!r}, got {name!r}. Rename one of them.")
    return name


def _model(form: Form) -> str:
    model = form.text(("model",), "scripted")
    if model == "inherit":
        form.fault(("model",), "model must name a brain, got 'inherit': there is nothing above. Write 'scripted'.")
    return model


def _members(form: Form, roles: _Roles) -> Iterator[MemberEntry]:
    found = form.value(("members",))
    if found is None and "members" not in form.document.data:
        return
    if not isinstance(found, list) or not found:
        form.fault(("members",), "members must be a list with at least one '- role: NAME'. Add the members below it.")
        return
    for index in range(len(found)):
        entry = _member(form, ("members", index), roles)
        if entry is not None:
            yield entry


def _member(form: Form, keys: Keys, roles: _Roles) -> MemberEntry | None:
    found = form.mapping(keys, member_keys(), ("role",))
    name = form.text((*keys, "role"), kebab=True)
    role = roles.get(name) if name else None
    if name and role is None and roles.missing(name):
        places = " or ".join(str(shown(place)) for place in (roles.folder, roles.library) if place is not None)
        close = nearest(name, known_roles(roles.folder, roles.library))
        label = f"members[{keys[1]}].role"
        form.fault((*keys, "role"), f"{label} {name!r} is no role file in {places}{close}. Correct it, or create it.")
    entry = MemberEntry(
        name,
        _count(form, keys, found),
        form.text((*keys, "team"), kebab=True),
        _overrides(form, (*keys, "policy"), role),
        form.text((*keys, "model")),
        form.names((*keys, "links")),
    )
    return entry if role is not None else None


def _overrides(form: Form, keys: Keys, role: RoleFile | None) -> Policy:
    return form.policy(keys, role.kind) if role is not None else {}


def _count(form: Form, keys: Keys, found: dict[str, Any]) -> int:
    count = found.get("count", 1)
    if isinstance(count, int) and not isinstance(count, bool) and count < 1:
        label = f"members[{keys[1]}].count"
        form.fault((*keys, "count"), f"{label} must be >= 1, got {count}. Remove the member or set a count.")
        return 1
    return int(form.knob((*keys, "count"), MEMBER_SPACE["count"]))


def _cross_check(form: Form, org: OrgFile) -> None:
    """What holds between the fields of a well-formed file."""
    counts: dict[RoleKind, int] = {"proposer": 0, "reviewer": 0, "merger": 0, "director": 0, "scout": 0}
    for entry in org.members:
        counts[org.kind(entry)] += entry.count
    for kind, example in (("proposer", "local-proposer"), ("merger", "greedy-merger")):
        if not counts[kind]:  # type: ignore[index]
            form.fault(("members",), f"members hold no {kind}, expected at least one. Add '- role: {example}'.")
    if counts["director"] > 1:
        form.fault(("members",), f"members hold {counts['director']} directors, expected at most one. Remove some.")
    if counts["scout"] and not org.settings["inbox"]:
        form.fault(("inbox",), "inbox is false, but a scout fills the research queue. Set inbox: true.")
    _check_scouts(form, org)
    _check_settings(form, org, counts)
    _check_links(form, org)


def _check_scouts(form: Form, org: OrgFile) -> None:
    """A scout is scripted so far, whatever its organization's model is; what it names itself must say so."""
    for index, entry in enumerate(org.members):
        model = entry.model or org.roles[entry.role].model
        if org.kind(entry) == "scout" and model not in ("inherit", "scripted"):
            found = f"members[{index}] is a scout with model {model!r}, expected 'scripted': no model scouts so far"
            form.fault(("members", index), f"{found}. Remove the model.")


def _check_settings(form: Form, org: OrgFile, counts: dict[RoleKind, int]) -> None:
    settings = org.settings
    if settings["quorum"] > counts["reviewer"]:
        found = f"quorum must be at most the number of reviewers ({counts['reviewer']}), got {settings['quorum']}"
        form.fault(("quorum",), f"{found}. Lower it or add reviewers.")
    if settings["cadence.standup_every"] and not counts["director"]:
        keys = ("cadence", "standup_every")
        form.fault(keys, "cadence.standup_every is set, but no director holds stand-ups. Add '- role: director'.")
    if settings["sharing"] == "standup" and not settings["cadence.standup_every"]:
        form.fault(("sharing",), "sharing: standup needs stand-ups, got none. Set cadence.standup_every above 0.")
    teams = any(entry.team for entry in org.members if org.kind(entry) == "proposer")
    for key, value in (("sharing", "team"), ("branching", "teams")):
        if settings[key] == value and not teams:
            form.fault((key,), f"{key}: {value} needs teams, but no proposer has one. Give proposers a 'team: NAME'.")


def _check_links(form: Form, org: OrgFile) -> None:
    names = [name for name, _ in org.named_members()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        form.fault(("members",), f"two members would be called {twice[0]!r}, expected unique names. Rename a role.")
    known = {*names, *org.roles}
    for index, entry in enumerate(org.members):
        for link in entry.links:
            if link not in known:
                label, close = f"members[{index}].links", nearest(link, known)
                form.fault(
                    ("members", index, "links"), f"{label} names {link!r}, no role or member here{close}. Correct it."
                )


def no_organization(path: Path) -> OrgFileError:
    """The error for a folder without ORG.md."""
    return OrgFileError(shown(path), None, f"holds no {ORG_FILE}, expected an organization's folder. Create the file.")
