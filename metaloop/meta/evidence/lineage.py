"""The lineage of an evolved organization: every accepted mutation, with its diff and what it gained then."""

from __future__ import annotations

import difflib

import msgspec

from metaloop.files.org_record import OrgFile
from metaloop.meta.evidence.paired import Paired


class Step(msgspec.Struct, frozen=True):
    """One accepted mutation. ``diff`` is a unified diff from parent to child, role files included.

    ``measured`` is child minus parent as the race saw it when it accepted the child: it was selected by this number, so
    it is optimistic (the winner's curse). ``None`` where it was not kept.
    """

    parent: str
    child: str
    operator: str
    change: str
    diff: str
    measured: Paired | None


def step(parent: OrgFile, child: OrgFile, operator: str, change: str, measured: Paired | None) -> Step:
    """The step from one organization to the next; the line that names the organization is left out of the diff."""
    return Step(parent.name, child.name, operator, change, unified_diff(parent, child), measured)


def unified_diff(parent: OrgFile, child: OrgFile) -> str:
    """ORG.md and role files of the parent against those of the child, as ``diff -u`` shows them.

    Of a role that only one of them uses there is the name alone: it comes from the library or is told elsewhere.
    """
    old, new = (organization.document.text.splitlines() for organization in (parent, child))
    old[parent.document.line("name") - 1] = new[child.document.line("name") - 1]
    parts = [_diff("ORG.md", old, new)]
    for name in sorted({*parent.roles, *child.roles}):
        if name not in child.roles:
            parts.append(f"--- {name}.md\n+++ /dev/null\n")
        elif name not in parent.roles:
            parts.append(f"--- /dev/null\n+++ {name}.md\n")
        else:
            texts = (organization.roles[name].document.text.splitlines() for organization in (parent, child))
            parts.append(_diff(f"{name}.md", *texts))
    return "".join(parts)


def _diff(file: str, old: list[str], new: list[str]) -> str:
    return "".join(f"{line}\n" for line in difflib.unified_diff(old, new, file, file, n=2, lineterm=""))
