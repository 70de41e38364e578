"""Crossover: members of another organization of the population are taken over, with the settings that they need.

The parent stays what it is otherwise: its charter, its sharing and its cadence are its own.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import chain, count
from typing import Any

from metaloop.files.markdown import parse
from metaloop.files.markdown_edit import same, set_value
from metaloop.files.org_record import MemberEntry, OrgFile
from metaloop.files.role_file import RoleFile, parse_role
from metaloop.meta.mutations.draft import Draft, Entry
from metaloop.meta.mutations.members import SINGLE, employ
from metaloop.meta.mutations.operator import Ground
from metaloop.meta.mutations.structural import Structural
from metaloop.vocabulary.organization import RoleKind

OF = "-of-"
"""Between a role's name and its organization's, where two organizations have different roles of one name."""


def cross_member(draft: Draft, ground: Ground, rng: random.Random) -> Draft | None:
    """One entry of another organization joins, or takes the place of one of its kind."""
    donor = _donor(draft, ground, rng)
    if donor is None:
        return None
    entry = rng.choice(donor.members)
    kind = donor.kind(entry)
    same_kind = draft.of_kind(kind)
    if same_kind and (kind in SINGLE or rng.random() < 0.5):
        index = rng.choice(same_kind)
        team = draft.entries[index].get("team", "")
        return _take_over(draft, donor, entry, index, team).take_out(index + 1)
    taken = _take_over(draft, donor, entry, draft.after(kind), "")
    return _needs(taken, donor, kind, rng)


def cross_kind(draft: Draft, ground: Ground, rng: random.Random) -> Draft | None:
    """All of one kind are replaced by those of another organization."""
    donor = _donor(draft, ground, rng)
    if donor is None:
        return None
    kind = rng.choice(sorted({donor.kind(entry) for entry in donor.members}))
    gone = draft.of_kind(kind)
    place = draft.after(kind)
    for entry in reversed([entry for entry in donor.members if donor.kind(entry) == kind]):
        draft = _take_over(draft, donor, entry, place, "")
    for index in reversed(gone):
        draft = draft.take_out(index)
    return _needs(draft, donor, kind, rng)


def _donor(draft: Draft, ground: Ground, rng: random.Random) -> OrgFile | None:
    others = [other for other in ground.population if other.digest != draft.parent.digest]
    return rng.choice(others) if others else None


def _take_over(draft: Draft, donor: OrgFile, entry: MemberEntry, position: int, team: str) -> Draft:
    """The entry before ``position``: its policy and brain are its own, team and links belong to where it came from."""
    role = _named_apart(draft, donor, donor.roles[entry.role])
    brain = entry.model or ("" if role.model != "inherit" or donor.model == draft.parent.model else donor.model)
    given: dict[str, Any] = {
        "count": entry.count if entry.count > 1 else None,
        "team": team,
        "model": brain,
        "policy": {name: list(v) if isinstance(v, tuple) else v for name, v in entry.policy.items()},
    }
    terms: Entry = {"role": role.name, **{key: value for key, value in given.items() if value}}
    return draft.add(position, terms, role)


def _named_apart(draft: Draft, donor: OrgFile, role: RoleFile) -> RoleFile:
    """The role, under another name where the organization has one of its name that says otherwise."""
    apart = f"{role.name.split(OF)[0]}{OF}{donor.name.split(OF)[0]}"
    names = chain([role.name, apart], (f"{apart}-{number}" for number in count(2)))
    own = draft.roles
    name = next(name for name in names if name not in own or _says_the_same(own[name], role))
    if name == role.name:
        return role
    document = set_value(replace(role.document, path=role.path.with_name(f"{name}.md")), ("name",), name)
    return parse_role(parse(document.text, document.path, document.error))


def _says_the_same(one: RoleFile, other: RoleFile) -> bool:
    mine, theirs = ({**role.document.data, "name": ""} for role in (one, other))
    return one.prose == other.prose and same(mine, theirs)


def _needs(draft: Draft, donor: OrgFile, kind: RoleKind, rng: random.Random) -> Draft:
    """The settings without which the newcomers would idle: the donor's own, where the parent has none."""
    if kind == "reviewer":
        asked = min(draft.setting("quorum") or donor.settings["quorum"], draft.number("reviewer"))
        draft = draft.set("quorum", asked)
    if kind == "director" and not draft.setting("cadence.standup_every"):
        for name in ("cadence.standup_every", "cadence.standup_seconds"):
            draft = draft.set(name, donor.settings[name])
    return employ(draft, kind, rng)


CROSSOVER = (Structural("cross member", cross_member), Structural("cross kind", cross_kind))
"""One entry, or a whole kind, from another organization."""
