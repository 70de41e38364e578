"""The A/A twin: an organization whose roles bear other names, and which is the same in everything else.

Members draw from seed streams that are named after them, so on one org-run seed the twin has its own luck with the same
trainings: what it gains over its original is chance, and a race that accepts it measures wrongly. (A byte-equal copy
would repeat its original's every decision.)
"""

from __future__ import annotations

from dataclasses import replace

from metaloop.files.markdown import parse
from metaloop.files.markdown_edit import set_value
from metaloop.files.org_reader import parse_organization
from metaloop.files.org_record import OrgFile
from metaloop.files.role_file import RoleFile, parse_role
from metaloop.meta.mutations.draft import member_names

MARK = "-twin"


def twin(original: OrgFile) -> OrgFile:
    """The organization with every role renamed; it bears its original's name until it is written to a folder.

    Raises:
        OrgFileError: ORG.md is laid out so that it cannot be edited in place.
    """
    document = original.document
    renamed = _renamed(original)
    for index, entry in enumerate(original.members):
        document = set_value(document, ("members", index, "role"), entry.role + MARK)
        if entry.links:
            document = set_value(document, ("members", index, "links"), [renamed[link] for link in entry.links])
    if document.data.get("control"):
        document = set_value(document, ("control",), False)
    roles = [_role(role) for role in original.roles.values()]
    return parse_organization(document, None, {role.name: role.document for role in roles})


def _renamed(original: OrgFile) -> dict[str, str]:
    """What a link may name, roles and members, with what it is called in the twin."""
    entries = [{"role": entry.role, "count": entry.count} for entry in original.members]
    old = [name for group in member_names(entries) for name in group]
    twins = [{**entry, "role": f"{entry['role']}{MARK}"} for entry in entries]
    new = [name for group in member_names(twins) for name in group]
    return {**{role: role + MARK for role in original.roles}, **dict(zip(old, new, strict=True))}


def _role(role: RoleFile) -> RoleFile:
    moved = replace(role.document, path=role.path.with_name(f"{role.name}{MARK}.md"))
    document = set_value(moved, ("name",), role.name + MARK)
    return parse_role(parse(document.text, document.path, document.error))
