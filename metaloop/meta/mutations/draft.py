"""An organization being edited: ORG.md spliced line by line, and at the end made whole and checked.

What an edit of the members entails is not left to the one who edits: :meth:`Draft.finish` brings down a quorum that
lost its reviewers, ends stand-ups that nobody holds, opens the inbox for a scout, and lets links follow the members
they name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from metaloop.files.form import Policy
from metaloop.files.markdown import Document, Keys
from metaloop.files.markdown_edit import insert, remove, set_value
from metaloop.files.org_reader import parse_organization
from metaloop.files.org_record import OrgFile
from metaloop.files.org_space import ORG_SPACE, keys_of
from metaloop.files.role_file import RoleFile, effective_policy
from metaloop.vocabulary.organization import RoleKind
from metaloop.vocabulary.space import Value

Entry = dict[str, Any]
"""An entry of ``members`` as plain values."""


@dataclass(frozen=True)
class Draft:
    """Each edit returns a new draft. ``roles`` are the role files at hand, by name; ``origin`` says for every entry of
    ``members`` which entry of the parent it was, ``None`` for a new one."""

    parent: OrgFile
    document: Document
    roles: Mapping[str, RoleFile]
    origin: tuple[int | None, ...]

    @classmethod
    def of(cls, parent: OrgFile) -> Draft:
        """The parent, unchanged."""
        return cls(parent, parent.document, parent.roles, tuple(range(len(parent.members))))

    @property
    def entries(self) -> list[Entry]:
        entries: list[Entry] = self.document.data["members"]
        return entries

    def kind(self, index: int) -> RoleKind:
        """What the members of an entry do."""
        return self.roles[self.entries[index]["role"]].kind

    def count(self, index: int) -> int:
        return int(self.entries[index].get("count", 1))

    def policy(self, index: int) -> Policy:
        """The whole policy in force for an entry."""
        entry = self.entries[index]
        overrides = {name: tuple(v) if isinstance(v, list) else v for name, v in (entry.get("policy") or {}).items()}
        return effective_policy(self.roles[entry["role"]], overrides)

    def of_kind(self, kind: RoleKind) -> list[int]:
        """The entries of a kind."""
        return [index for index in range(len(self.entries)) if self.kind(index) == kind]

    def number(self, kind: RoleKind) -> int:
        """How many members are of a kind."""
        return sum(self.count(index) for index in self.of_kind(kind))

    def teams(self) -> list[str]:
        """The proposers' teams, in order."""
        return list(
            dict.fromkeys(self.entries[i]["team"] for i in self.of_kind("proposer") if "team" in self.entries[i])
        )

    def setting(self, name: str) -> Any:
        """A setting of the whole organization, by its name in ``ORG_SPACE``."""
        knob = ORG_SPACE[name]
        value: Any = self.document.data
        for key in keys_of(knob):
            value = (value or {}).get(key)
        return knob.default if value is None else value

    def set(self, name: str, value: Value) -> Draft:
        """Give a setting of the whole organization a value."""
        return self if self.setting(name) == value else self.put(keys_of(ORG_SPACE[name]), value)

    def put(self, keys: Keys, value: Any) -> Draft:
        """Write a value anywhere in the front matter."""
        return replace(self, document=set_value(self.document, keys, value))

    def drop(self, keys: Keys) -> Draft:
        """Take an entry out, and a mapping that it leaves empty."""
        holder = self.document.node(keys[:-1])
        last = holder is not None and len(holder.value) == 1
        return replace(self, document=remove(self.document, keys[:-1] if last else keys))

    def add(self, position: int, entry: Entry, role: RoleFile) -> Draft:
        """Put a new entry of members before the one at ``position``; a role of that name that is here already stays."""
        return replace(
            self,
            document=insert(self.document, ("members", position), entry),
            roles={role.name: role, **self.roles},
            origin=(*self.origin[:position], None, *self.origin[position:]),
        )

    def know(self, role: RoleFile) -> Draft:
        """Have a role at hand; one of that name that is here already stays."""
        return replace(self, roles={role.name: role, **self.roles})

    def take_out(self, position: int) -> Draft:
        """Remove an entry of members. Another one must stay."""
        document = remove(self.document, ("members", position))
        return replace(self, document=document, origin=(*self.origin[:position], *self.origin[position + 1 :]))

    def after(self, kind: RoleKind) -> int:
        """Where a new entry of a kind reads best: behind the last one of its kind, else at the end."""
        return max(self.of_kind(kind), default=len(self.entries) - 1) + 1

    def finish(self) -> OrgFile:
        """The child, with everything consistent again. A child is nobody's yardstick: ``control`` is not inherited.

        Raises:
            OrgFileError: the result is not valid.
        """
        draft = _settle_links(_settle_settings(self))
        if draft.document.data.get("control"):
            draft = draft.put(("control",), False)
        documents = {name: role.document for name, role in draft.roles.items()}
        return parse_organization(draft.document, None, documents)

    def names_clash(self) -> bool:
        """Whether two members would bear one name (a role ``x-1`` beside two of a role ``x``)."""
        names = [name for group in member_names(self.entries) for name in group]
        return len(names) > len(set(names))


def member_names(entries: Iterable[Entry]) -> list[list[str]]:
    """The members' names, by entry, numbered as :meth:`metaloop.files.org_record.OrgFile.named_members` does."""
    counts = [(entry["role"], int(entry.get("count", 1))) for entry in entries]
    totals: dict[str, int] = {}
    for role, count in counts:
        totals[role] = totals.get(role, 0) + count
    numbers = dict.fromkeys(totals, 0)
    names: list[list[str]] = []
    for role, count in counts:
        first = numbers[role] + 1
        numbers[role] += count
        names.append([f"{role}-{n}" if totals[role] > 1 else role for n in range(first, first + count)])
    return names


def _settle_settings(draft: Draft) -> Draft:
    """Bring down what the members no longer bear."""
    draft = draft.set("quorum", min(draft.setting("quorum"), draft.number("reviewer")))
    if draft.of_kind("scout"):
        draft = draft.set("inbox", True)
    if not draft.of_kind("director"):
        draft = draft.set("cadence.standup_every", 0)
    if draft.setting("sharing") == "standup" and not draft.setting("cadence.standup_every"):
        draft = draft.set("sharing", "all")
    if not draft.teams():
        draft = draft.set("sharing", "all") if draft.setting("sharing") == "team" else draft
        draft = draft.set("branching", "trunk")
    return draft


def _settle_links(draft: Draft) -> Draft:
    """Let links follow the members and roles they name; a link to nobody goes, and with the last one the list."""
    followed = _followed(draft)
    roles = {entry["role"] for entry in draft.entries}
    for index, entry in enumerate(draft.entries):
        links = entry.get("links") or []
        new = list(dict.fromkeys(link if link in roles else followed.get(link, "") for link in links))
        new = [link for link in new if link]
        if links and not new:
            draft = draft.drop(("members", index, "links"))
        elif new != links:
            draft = draft.put(("members", index, "links"), new)
    return draft


def _followed(draft: Draft) -> dict[str, str]:
    """What the parent's members and roles are called now; who is gone is not in it."""
    before: list[Entry] = [{"role": entry.role, "count": entry.count} for entry in draft.parent.members]
    old, new = member_names(before), member_names(draft.entries)
    found: dict[str, str] = {}
    for position, index in enumerate(draft.origin):
        if index is not None:
            found.update(zip(old[index], new[position], strict=False))
            found.setdefault(before[index]["role"], draft.entries[position]["role"])
    return found
