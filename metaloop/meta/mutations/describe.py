"""What a mutation changed, in one line, read off parent and child: it cannot say anything else than what was done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metaloop.files.org_record import MemberEntry, OrgFile
from metaloop.files.org_space import ORG_SPACE
from metaloop.files.role_file import effective_policy, show_value

SHOWN = 160
"""Characters; a longer list of changes ends with how many more there are."""


def describe(parent: OrgFile, child: OrgFile, origin: Sequence[int | None]) -> str:
    """``members: combiner added; quorum 0 -> 1``. ``origin`` says which entry of the parent an entry was.

    Entries bear their number in the parent. Nothing changed is an empty line.
    """
    parts = [*_members(parent, child, origin), *_settings(parent, child)]
    line = parts[0] if parts else ""
    for index, part in enumerate(parts[1:], start=1):
        if len(line) + len(part) > SHOWN:
            return f"{line}; and {len(parts) - index} more"
        line = f"{line}; {part}"
    return line


def _members(parent: OrgFile, child: OrgFile, origin: Sequence[int | None]) -> Iterator[str]:
    for index, entry in enumerate(parent.members):
        if index not in origin:
            yield f"members: {who(entry)} removed"
    for entry, was in zip(child.members, origin, strict=True):
        if was is None:
            yield f"members: {who(entry)} added"
        else:
            yield from _terms(f"members[{was}]", parent, parent.members[was], child, entry)


def _terms(label: str, parent: OrgFile, old: MemberEntry, child: OrgFile, new: MemberEntry) -> Iterator[str]:
    """How the terms of one entry changed; under another role, only which."""
    for name in ("role", "count", "team", "model"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{label}.{name} {before or 'none'} -> {after or 'none'}"
    if old.links != new.links:
        yield f"{label}.links {show_value(old.links)} -> {show_value(new.links)}"
    if old.role != new.role:
        return
    before = effective_policy(parent.roles[old.role], old.policy)
    after = effective_policy(child.roles[new.role], new.policy)
    for name in before:
        if before[name] != after[name]:
            yield f"{label}.policy.{name} {show_value(before[name])} -> {show_value(after[name])}"


def _settings(parent: OrgFile, child: OrgFile) -> Iterator[str]:
    for knob in ORG_SPACE:
        old, new = parent.settings[knob.name], child.settings[knob.name]
        if old != new:
            yield f"{knob.name} {show_value(old)} -> {show_value(new)}"


def who(entry: MemberEntry) -> str:
    """An entry of members in a few words: ``2 local-proposer of team red, focus [optimizer]``."""
    number = f"{entry.count} " if entry.count > 1 else ""
    team = f" of team {entry.team}" if entry.team else ""
    focus = entry.policy.get("focus")
    return f"{number}{entry.role}{team}" + (f", focus {show_value(focus)}" if focus else "")
