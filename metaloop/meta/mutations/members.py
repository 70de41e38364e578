"""Structural edits of who is a member: add, remove, duplicate, swap a role."""

from __future__ import annotations

import random

from metaloop.files.org_space import MEMBER_SPACE
from metaloop.files.policies import is_read
from metaloop.files.role_file import RoleFile, effective_policy
from metaloop.meta.mutations.draft import Draft, Entry
from metaloop.meta.mutations.operator import Ground
from metaloop.vocabulary.organization import RoleKind

STANDUP_EVERY = (5, 10, 20, 40)
"""Finished experiments between stand-ups that a new director starts with: from restless to about daily."""
SINGLE: tuple[RoleKind, ...] = ("director", "scout")
"""Kinds that no mutation makes more of: of directors there is one at most, and a second scout finds the same. What a
scout finds is outside every simulated world, so that nothing there can tell whether it is worth having."""
NEEDED: tuple[RoleKind, ...] = ("proposer", "merger")
"""Kinds that no organization can be without."""


def pool(draft: Draft, ground: Ground) -> dict[str, RoleFile]:
    """The roles at hand: the library's, and the organization's own, which shadow them."""
    return {**ground.library, **draft.roles}


def of_kind(roles: dict[str, RoleFile], kind: RoleKind) -> list[RoleFile]:
    """The roles of a kind, by name."""
    return [roles[name] for name in sorted(roles) if roles[name].kind == kind]


def add_role(draft: Draft, ground: Ground, rng: random.Random) -> Draft | None:
    """A member more, of any role at hand, and of any of the teams; with what it needs to be of use."""
    directed = bool(draft.of_kind("director"))
    roles = pool(draft, ground)
    kinds = [kind for kind in SINGLE if directed or kind == "scout"]
    names = [name for name in sorted(roles) if roles[name].kind not in kinds]
    role = roles[rng.choice(names)]
    teams = draft.teams() if role.kind != "director" else []
    team = rng.choice(["", *teams])
    entry: Entry = {"role": role.name, "team": team} if team else {"role": role.name}
    return employ(draft.add(draft.after(role.kind), entry, role), role.kind, rng)


def employ(draft: Draft, kind: RoleKind, rng: random.Random) -> Draft:
    """What the first member of a kind needs so that it is ever asked: reviewers a quorum, a director stand-ups."""
    if kind == "reviewer" and not draft.setting("quorum"):
        return draft.set("quorum", 1)
    if kind == "director" and not draft.setting("cadence.standup_every"):
        return draft.set("cadence.standup_every", rng.choice(STANDUP_EVERY))
    return draft


def remove_role(draft: Draft, _ground: Ground, rng: random.Random) -> Draft | None:
    """A member less, or all of an entry; the last proposer and the last merger stay."""
    removable = [i for i in range(len(draft.entries)) if draft.kind(i) not in NEEDED or draft.number(draft.kind(i)) > 1]
    if not removable:
        return None
    index = rng.choice(removable)
    count, kind = draft.count(index), draft.kind(index)
    alone = kind in NEEDED and len(draft.of_kind(kind)) == 1
    if count > 1 and (alone or rng.random() < 0.5):
        return draft.put(("members", index, "count"), count - 1)
    return draft.take_out(index)


def duplicate_role(draft: Draft, _ground: Ground, rng: random.Random) -> Draft | None:
    """A member more on the terms of one that is here: counted with it, or an entry that may go its own way."""
    index = rng.choice([i for i in range(len(draft.entries)) if draft.kind(i) not in SINGLE])
    count = draft.count(index)
    if rng.random() < 0.5 and count < int(MEMBER_SPACE["count"].high or 0):
        return draft.put(("members", index, "count"), count + 1)
    entry = {key: value for key, value in draft.entries[index].items() if key != "count"}
    return draft.add(index + 1, entry, draft.roles[entry["role"]])


def swap_role(draft: Draft, ground: Ground, rng: random.Random) -> Draft | None:
    """Another role of the same kind takes an entry over, with those of its overrides that mean something to it."""
    roles = pool(draft, ground)
    swaps = [
        (index, role)
        for index, entry in enumerate(draft.entries)
        for role in of_kind(roles, draft.kind(index))
        if role.name != entry["role"]
    ]
    if not swaps:
        return None
    index, role = rng.choice(swaps)
    swapped = draft.know(role).put(("members", index, "role"), role.name)
    for name in swapped.entries[index].get("policy") or {}:
        if name == "strategy" or not is_read(role.kind, name, effective_policy(role), code=True):
            swapped = swapped.drop(("members", index, "policy", name))
    return swapped
