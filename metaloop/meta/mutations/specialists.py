"""Structural edits of who looks where: a generalist becomes specialists over knob groups, and specialists one again."""

from __future__ import annotations

import random
from collections.abc import Sequence

from metaloop.files.policies import is_read
from metaloop.meta.mutations.draft import Draft, Entry
from metaloop.meta.mutations.operator import Ground

MOST_PARTS = 3
"""Specialists that one generalist becomes at once; each of them may be split again."""


def split_generalist(draft: Draft, ground: Ground, rng: random.Random) -> Draft | None:
    """An entry of proposers becomes several that share its knob groups out; its members are dealt, each gets one."""
    wide = [i for i in draft.of_kind("proposer") if can_focus(draft, i) and len(focus_of(draft, i, ground.groups)) > 1]
    if not wide:
        return None
    index = rng.choice(wide)
    groups, count = focus_of(draft, index, ground.groups), draft.count(index)
    parts = _deal(groups, rng.randint(2, min(MOST_PARTS, len(groups))), rng)
    entry = draft.entries[index]
    counts = [max(1, count // len(parts) + (turn < count % len(parts))) for turn in range(len(parts))]
    if count != counts[0]:
        draft = draft.put(("members", index, "count"), counts[0])
    draft = draft.put(("members", index, "policy", "focus"), list(parts[0]))
    for turn in range(1, len(parts)):
        draft = draft.add(index + turn, _specialist(entry, parts[turn], counts[turn]), draft.roles[entry["role"]])
    return draft


def unite_specialists(draft: Draft, ground: Ground, rng: random.Random) -> Draft | None:
    """Two entries of proposers with the same role, team and brain become one that looks where both looked."""
    pairs = [
        (first, second)
        for first in draft.of_kind("proposer")
        for second in draft.of_kind("proposer")
        if first < second and _alike(draft.entries[first], draft.entries[second])
        if draft.policy(first)["focus"] and draft.policy(second)["focus"]
    ]
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    both = {*focus_of(draft, first, ground.groups), *focus_of(draft, second, ground.groups)}
    focus = [group for group in ground.groups if group in both]
    count = max(draft.count(first), draft.count(second))
    if count != draft.count(first):
        draft = draft.put(("members", first, "count"), count)
    return look_at(draft, first, focus, ground.groups).take_out(second)


def look_at(draft: Draft, index: int, focus: list[str], groups: Sequence[str]) -> Draft:
    """An entry looks at these groups; at all of them without saying so, where its role does not say otherwise."""
    keys = ("members", index, "policy", "focus")
    role = draft.roles[draft.entries[index]["role"]]
    if len(focus) == len(groups) and not role.policy.get("focus") and draft.document.node(keys):
        return draft.drop(keys)
    return draft.put(keys, focus)


def can_focus(draft: Draft, index: int) -> bool:
    """Whether the strategy of an entry of proposers asks where to look."""
    return is_read("proposer", "focus", draft.policy(index))


def focus_of(draft: Draft, index: int, groups: Sequence[str]) -> list[str]:
    """The groups that an entry looks at: all, where it names none."""
    named = draft.policy(index)["focus"]
    return [group for group in groups if isinstance(named, tuple) and group in named] if named else list(groups)


def _alike(one: Entry, other: Entry) -> bool:
    return all(one.get(key) == other.get(key) for key in ("role", "team", "model"))


def _deal(groups: Sequence[str], number: int, rng: random.Random) -> list[list[str]]:
    """The groups in so many parts, none empty, each in the target's order."""
    order = rng.sample(range(len(groups)), len(groups))
    return [[groups[i] for i in sorted(order[turn::number])] for turn in range(number)]


def _specialist(entry: Entry, focus: list[str], count: int) -> Entry:
    """A new entry on the terms of an old one, but for where it looks."""
    terms = {key: value for key, value in entry.items() if key not in ("count", "policy")}
    number = {"count": count} if count > 1 else {}
    return {**terms, **number, "policy": {**(entry.get("policy") or {}), "focus": focus}}
