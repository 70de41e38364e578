"""An organization as written: what :mod:`metaloop.files.org_reader` reads and a mutation edits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metaloop.files.form import Policy
from metaloop.files.markdown import Document
from metaloop.files.role_file import RoleFile, effective_policy, render_prompt
from metaloop.vocabulary.organization import Cadence, Member, Organization, RoleKind


@dataclass(frozen=True)
class MemberEntry:
    """One entry of ``members`` as written: ``count`` members of a role on the same terms."""

    role: str
    count: int = 1
    team: str = ""
    policy: Policy = field(default_factory=dict)
    model: str = ""
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class OrgFile:
    """An organization as written. ``settings`` holds the scalars of ``ORG_SPACE`` and ``control``, by name.

    ``roles`` are the files its members use, by name. To mutate: edit ``document`` or a role's document with
    :mod:`metaloop.files.markdown_edit`, check again with :func:`metaloop.files.org_reader.parse_organization`, and
    write with
    :func:`metaloop.files.org_file.write_files`.
    """

    folder: Path
    document: Document
    name: str
    description: str
    model: str
    settings: Mapping[str, Any]
    members: tuple[MemberEntry, ...]
    roles: Mapping[str, RoleFile]
    charter: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text of ORG.md and of every role used; where the files lie does not count."""
        texts = [self.document.text, *(f"{name}\n{self.roles[name].document.text}" for name in sorted(self.roles))]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()

    @property
    def edits_code(self) -> bool:
        """Whether any of its roles may change source code."""
        return any("Edit" in role.tools for role in self.roles.values())

    def kind(self, entry: MemberEntry) -> RoleKind:
        """What the members of an entry do."""
        return self.roles[entry.role].kind

    def named_members(self) -> Iterator[tuple[str, MemberEntry]]:
        """Every member's name with its entry: ``role`` where it is the only one, else ``role-1`` … ``role-n``."""
        totals: dict[str, int] = {}
        for entry in self.members:
            totals[entry.role] = totals.get(entry.role, 0) + entry.count
        numbers = dict.fromkeys(totals, 0)
        for entry in self.members:
            for _ in range(entry.count):
                numbers[entry.role] += 1
                number = f"-{numbers[entry.role]}" if totals[entry.role] > 1 else ""
                yield f"{entry.role}{number}", entry

    def to_organization(self) -> Organization:
        """The organization that a controller runs."""
        settings = self.settings
        cadence = {key.split(".")[1]: value for key, value in settings.items() if key.startswith("cadence.")}
        return Organization(
            self.name,
            self.description,
            self.charter,
            tuple(self._member(name, entry) for name, entry in self.named_members()),
            settings["sharing"],
            settings["branching"],
            settings["quorum"],
            Cadence(**cadence),
            settings["inbox"],
            settings["control"],
            settings["turns"],
            self.digest,
            settings["lessons"],
        )

    def _member(self, name: str, entry: MemberEntry) -> Member:
        role = self.roles[entry.role]
        policy = effective_policy(role, entry.policy)
        brain = next(brain for brain in (entry.model, role.model, self.model) if brain not in ("", "inherit"))
        brain = "scripted" if role.kind == "scout" else brain
        prompt = render_prompt(role, policy, self.charter)
        edits = "Edit" in role.tools
        return Member(name, role.name, role.kind, policy, brain, prompt, entry.team, entry.links, edits)
