"""What an organization has that its ancestor has not, as units that can be taken back one by one.

A lineage of mutations leaves no trace of which entry of ``members`` was which, so the entries of both are matched
anew (:func:`match`). The units follow the mutations: a setting, a member added, removed or swapped, one of an entry's
terms, one entry of a policy, the charter, a role's text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from metaloop.files.markdown import Keys
from metaloop.files.markdown_edit import with_body
from metaloop.files.org_record import MemberEntry, OrgFile
from metaloop.files.org_space import ORG_SPACE, keys_of
from metaloop.files.policies import is_read
from metaloop.files.role_file import effective_policy, show_value
from metaloop.meta.mutations.describe import who
from metaloop.meta.mutations.draft import Draft, Entry
from metaloop.vocabulary.organization import Member, Organization

Sort = Literal["setting", "model", "charter", "role text", "added", "removed", "swapped", "term", "policy"]

TERMS = ("count", "team", "model", "links")
"""An entry's terms beside its role and policy."""
OWN_TERMS = ("role", "policy", "model")
"""What is another role's when a role is swapped."""
OTHER_ROLE, NEW_ENTRY, OTHER_KIND = 4.0, 1e3, 1e6
"""Cost of matching two entries of different roles, in differing terms; of an entry that none matches, more than any two
of one kind can differ; of two kinds, which never match."""


@dataclass(frozen=True)
class Change:
    """One unit of difference.

    ``label`` says in one line what the child did, ``subject`` only to what. ``keys`` is where it stands in the child's
    ORG.md (a removed entry: before which entry it stood); for a role's text, the role's name. ``old`` is what the
    parent has there, as plain values, ``None`` where it has nothing.
    """

    sort: Sort
    subject: str
    label: str
    keys: Keys
    old: Any

    @property
    def structural(self) -> bool:
        """Whether the validity of other changes may depend on it."""
        return self.sort in ("setting", "added", "removed", "swapped", "term")


def changes(parent: OrgFile, child: OrgFile) -> tuple[Change, ...]:
    """Every change between an ancestor and a descendant; name, description and ``control`` are none."""
    return (*_settings(parent, child), *_members(parent, child), *_texts(parent, child))


def match(parent: OrgFile, child: OrgFile) -> tuple[int | None, ...]:
    """For every entry of the child the entry of the parent that it was, ``None`` for a new one.

    The assignment with the fewest differing terms, entries of one kind only; of equal ones, that which keeps the order
    (``scipy.optimize.linear_sum_assignment``: Crouse, IEEE Transactions on Aerospace and Electronic Systems 52, 2016).
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    old, new = len(parent.members), len(child.members)
    costs = np.full((new, old + new), NEW_ENTRY)
    for row, entry in enumerate(child.members):
        for column, was in enumerate(parent.members):
            alike = parent.kind(was) == child.kind(entry)
            costs[row, column] = _distance(was, entry) + 1e-3 * abs(row - column) if alike else OTHER_KIND
    _, columns = linear_sum_assignment(costs)
    return tuple(int(column) if column < old else None for column in columns)


def _distance(old: MemberEntry, new: MemberEntry) -> float:
    terms = sum(bool(getattr(old, name) != getattr(new, name)) for name in TERMS)
    if old.role != new.role:
        return OTHER_ROLE + terms
    return terms + sum(old.policy.get(name) != new.policy.get(name) for name in {*old.policy, *new.policy})


def entry_labels(organization: OrgFile) -> list[str]:
    """A name for every entry of members: its role, with a number from the second of that role on."""
    seen: Counter[str] = Counter()
    labels = []
    for entry in organization.members:
        seen[entry.role] += 1
        labels.append(entry.role if seen[entry.role] == 1 else f"{entry.role} #{seen[entry.role]}")
    return labels


def _settings(parent: OrgFile, child: OrgFile) -> Iterator[Change]:
    if parent.model != child.model:
        yield Change("model", "model", f"model {parent.model} -> {child.model}", ("model",), parent.model)
    for knob in ORG_SPACE:
        old, new = parent.settings[knob.name], child.settings[knob.name]
        if old != new:
            said = f"{knob.name} {show_value(old)} -> {show_value(new)}"
            yield Change("setting", knob.name, said, keys_of(knob), old)


def _members(parent: OrgFile, child: OrgFile) -> Iterator[Change]:
    origin = match(parent, child)
    labels, gone, entries = entry_labels(child), entry_labels(parent), parent.document.data["members"]
    for index, (entry, was) in enumerate(zip(child.members, origin, strict=True)):
        if was is None:
            yield Change("added", f"{labels[index]} added", f"{who(entry)} added", ("members", index), None)
        else:
            yield from _entry(parent.members[was], entry, index, labels[index], child, entries[was])
    for index, entry in enumerate(parent.members):
        if index not in origin:
            place = max((origin.index(before) + 1 for before in range(index) if before in origin), default=0)
            yield Change(
                "removed", f"{gone[index]} removed", f"{who(entry)} removed", ("members", place), entries[index]
            )


def _entry(
    old: MemberEntry, new: MemberEntry, index: int, label: str, child: OrgFile, written: Entry
) -> Iterator[Change]:
    """How one entry changed: under another role, only that and its terms; else policy entry by policy entry."""
    keys: Keys = ("members", index)
    swapped = old.role != new.role
    if swapped:
        terms = {name: written[name] for name in OWN_TERMS if name in written}
        yield Change("swapped", label, f"{label} in the place of {old.role}", keys, terms)
    for name in TERMS:
        before, after = getattr(old, name), getattr(new, name)
        if before != after and not (swapped and name in OWN_TERMS):
            said = f"{label}: {name} {_shown(before)} -> {_shown(after)}"
            yield Change("term", f"{label} {name}", said, (*keys, name), written.get(name))
    if swapped:
        return
    role = child.roles[new.role]
    before, after = effective_policy(role, old.policy), effective_policy(role, new.policy)
    overrides = written.get("policy") or {}
    for name in before:
        if before[name] != after[name]:
            said = f"{label}: {name} {show_value(before[name])} -> {show_value(after[name])}"
            yield Change("policy", f"{label} {name}", said, (*keys, "policy", name), overrides.get(name))


def _shown(value: Any) -> str:
    return show_value(value) if value or value == 0 else "none"


def _texts(parent: OrgFile, child: OrgFile) -> Iterator[Change]:
    if parent.charter != child.charter:
        yield Change("charter", "charter", "charter rewritten", (), parent.document.body)
    for name in sorted(set(parent.roles) & set(child.roles)):
        if parent.roles[name].document.text != child.roles[name].document.text:
            yield Change("role text", f"{name} text", f"{name}.md rewritten", (name,), parent.roles[name])


def take_back(parent: OrgFile, child: OrgFile, taken: Sequence[Change]) -> Draft:
    """The child with these changes undone, still to be finished.

    Raises:
        OrgFileError: the child's ORG.md is laid out so that it cannot be edited in place.
    """
    draft = Draft.of(child)
    for change in taken:
        if change.sort not in ("added", "removed"):
            draft = _restored(draft, change, parent)
    # From the last entry to the first, so that positions before it stay; at one place insertions come before the
    # removal, so that the list is never empty.
    for place in sorted({int(c.keys[1]) for c in taken if c.sort in ("added", "removed")}, reverse=True):
        returning = [c for c in taken if c.sort == "removed" and c.keys[1] == place]
        for change in reversed(returning):
            draft = draft.add(place, change.old, parent.roles[change.old["role"]])
        if any(c.sort == "added" and c.keys[1] == place for c in taken):
            draft = draft.take_out(place + len(returning))
    return draft


def _restored(draft: Draft, change: Change, parent: OrgFile) -> Draft:
    """One change in place undone."""
    if change.sort == "charter":
        return replace(draft, document=with_body(draft.document, change.old))
    if change.sort == "role text":
        return replace(draft, roles={**draft.roles, str(change.keys[0]): change.old})
    if change.sort == "swapped":
        draft = draft.know(parent.roles[change.old["role"]])
        for name in OWN_TERMS:
            draft = _put(draft, (*change.keys, name), change.old.get(name))
        return draft
    return _put(draft, change.keys, change.old)


def _put(draft: Draft, keys: Keys, value: Any) -> Draft:
    """The value at ``keys``, or nothing there for ``None``."""
    if value is not None:
        return draft.put(keys, value)
    return draft if draft.document.node(keys) is None else draft.drop(keys)


def same_organization(one: OrgFile, other: OrgFile) -> bool:
    """Whether two organizations do the same under every seed.

    Name, description and ``control`` do not count, nor what nobody reads: prose and charter where the brain is
    scripted, a policy's entries that its strategy never looks at.
    """
    return _matter(one) == _matter(other)


def _matter(organization: OrgFile) -> Organization:
    whole = organization.to_organization()
    members = tuple(_read_part(member, organization.edits_code) for member in whole.members)
    return msgspec.structs.replace(
        whole, name="", description="", charter="", members=members, control=False, digest=""
    )


def _read_part(member: Member, code: bool) -> Member:
    read = [name for name in member.policy if is_read(member.kind, name, member.policy, code=code)]
    policy = {name: member.policy[name] for name in read}
    prompt = "" if member.brain == "scripted" else member.prompt
    return msgspec.structs.replace(member, policy=policy, prompt=prompt)
