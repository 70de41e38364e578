"""Structural edits of how members work together: links, sharing, stand-ups, quorum, branching."""

from __future__ import annotations

import random

from metaloop.files.org_space import ORG_SPACE
from metaloop.meta.mutations.draft import Draft, member_names
from metaloop.meta.mutations.members import STANDUP_EVERY, employ, of_kind, pool
from metaloop.meta.mutations.operator import Ground
from metaloop.vocabulary.organization import RoleKind

INTEGRATE_EVERY = (12, 24, 48)
"""Finished experiments between integrations that feature branches start with."""
TEAMS = ("red", "blue")
"""The teams of an organization that had none: two, since each needs proposers and a merger."""
HANDS_TO: tuple[tuple[RoleKind, RoleKind], ...] = (
    ("proposer", "reviewer"),
    ("proposer", "merger"),
    ("director", "proposer"),
)
"""Who hands work to whom: the links that anything depends on."""


def rewire_links(draft: Draft, _ground: Ground, rng: random.Random) -> Draft | None:
    """One entry hands its work to some of those it could go to, or again to whom it goes by default."""
    wires = [(i, kind) for giver, kind in HANDS_TO for i in draft.of_kind(giver) if draft.number(kind) > 1]
    if not wires:
        return None
    index, kind = rng.choice(wires)
    targets = addresses(draft, kind)
    links = draft.entries[index].get("links") or []
    linked = [link for link in links if link in targets]
    others = [link for link in links if link not in targets]
    number = 0 if linked and rng.random() < 0.3 else rng.randint(1, min(len(targets), draft.number(kind) - 1))
    chosen = sorted(rng.sample(targets, number))
    if set(chosen) == set(linked):
        return None
    keys = ("members", index, "links")
    return draft.put(keys, others + chosen) if others + chosen else draft.drop(keys)


def addresses(draft: Draft, kind: RoleKind) -> list[str]:
    """What a link to members of a kind may name: their roles, and members where a role has several."""
    found: dict[str, None] = {}
    for index, names in enumerate(member_names(draft.entries)):
        if draft.kind(index) == kind:
            found.update(dict.fromkeys([draft.entries[index]["role"], *names]))
    return list(found)


def change_sharing(draft: Draft, ground: Ground, rng: random.Random) -> Draft | None:
    """Results are shared otherwise; where at stand-ups, somebody holds them."""
    directors = of_kind(pool(draft, ground), "director")
    options = {"own", "all"} | ({"team"} if draft.teams() else set()) | ({"standup"} if directors else set())
    new = rng.choice(sorted(options - {draft.setting("sharing")}))
    if new == "standup":
        if not draft.of_kind("director"):
            director = rng.choice(directors)
            draft = draft.add(draft.after("director"), {"role": director.name}, director)
        draft = employ(draft, "director", rng)
    return draft.set("sharing", new)


def change_standups(draft: Draft, _ground: Ground, rng: random.Random) -> Draft | None:
    """Where there is a director: stand-ups twice or half as often, none any more, or some again."""
    if not draft.of_kind("director"):
        return None
    every, knob = draft.setting("cadence.standup_every"), ORG_SPACE["cadence.standup_every"]
    options = [every // 2, every * 2, 0] if every else list(STANDUP_EVERY)
    legal = [option for option in options if option != every and option <= int(knob.high or 0)]
    return draft.set(knob.name, rng.choice(legal))


def change_quorum(draft: Draft, _ground: Ground, rng: random.Random) -> Draft | None:
    """Another number of approvals, none to all reviewers'."""
    most = min(draft.number("reviewer"), int(ORG_SPACE["quorum"].high or 0))
    options = [number for number in range(most + 1) if number != draft.setting("quorum")]
    return draft.set("quorum", rng.choice(options)) if options else None


def change_branching(draft: Draft, _ground: Ground, rng: random.Random) -> Draft | None:
    """Feature branches, with teams and a merger for each; or trunk again."""
    if draft.setting("branching") == "teams":
        return draft.set("branching", "trunk")
    if not draft.teams():
        if draft.number("proposer") < len(TEAMS):
            return None
        draft = _deal(draft, rng)
    for team in draft.teams():
        draft = _with_merger(draft, team, rng)
    if not draft.setting("cadence.integrate_every"):
        draft = draft.set("cadence.integrate_every", rng.choice(INTEGRATE_EVERY))
    return draft.set("branching", "teams")


def _deal(draft: Draft, rng: random.Random) -> Draft:
    """Proposers in two teams; an only entry is divided."""
    proposers = draft.of_kind("proposer")
    if len(proposers) == 1:
        index, count = proposers[0], draft.count(proposers[0])
        number = {"count": count // 2} if count > 3 else {}
        entry = {**{key: value for key, value in draft.entries[index].items() if key != "count"}, **number}
        draft = draft.put(("members", index, "count"), count - count // 2)
        draft = draft.add(index + 1, entry, draft.roles[entry["role"]])
        proposers = [index, index + 1]
    rng.shuffle(proposers)
    for turn, index in enumerate(proposers):
        draft = draft.put(("members", index, "team"), TEAMS[turn % len(TEAMS)])
    return draft


def _with_merger(draft: Draft, team: str, rng: random.Random) -> Draft:
    """A merger of the team's own, on the terms of one that is here."""
    mergers = draft.of_kind("merger")
    if any(draft.entries[index].get("team") == team for index in mergers):
        return draft
    model = rng.choice([i for i in mergers if "team" not in draft.entries[i]] or mergers)
    entry = {key: value for key, value in draft.entries[model].items() if key not in ("count", "team", "links")}
    return draft.add(draft.after("merger"), {**entry, "team": team}, draft.roles[entry["role"]])
