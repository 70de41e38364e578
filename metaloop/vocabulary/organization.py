"""An organization as the rest of the code sees it, after its Markdown was read and checked."""

from __future__ import annotations

from typing import Literal

import msgspec

from metaloop.vocabulary.space import Value

RoleKind = Literal["proposer", "reviewer", "merger", "director", "scout"]
Sharing = Literal["own", "team", "all", "standup"]
Branching = Literal["trunk", "teams"]
Turns = Literal["even", "by-gain"]


class Member(msgspec.Struct, frozen=True):
    """One actor of an organization: a role with its effective policy.

    ``name`` is unique in the organization (``careful-proposer-2``); ``team`` is empty for the common team;
    ``links`` names the roles or members that its work is handed to (empty: everyone of the next kind).
    """

    name: str
    role: str
    kind: RoleKind
    policy: dict[str, Value | tuple[str, ...]]
    brain: str
    prompt: str
    team: str = ""
    links: tuple[str, ...] = ()
    edits: bool = False
    """Whether it may change source code: its role file lists the tool ``Edit``."""


class Cadence(msgspec.Struct, frozen=True):
    """When things happen. ``standup_every`` counts finished experiments (0: never), as does ``integrate_every``."""

    standup_every: int = 0
    standup_seconds: float = 0.0
    integrate_every: int = 0
    lookahead: int = 0


class Organization(msgspec.Struct, frozen=True):
    """Everything that the controller needs. ``digest`` identifies the folder's text, roles included."""

    name: str
    description: str
    charter: str
    members: tuple[Member, ...]
    sharing: Sharing = "all"
    branching: Branching = "trunk"
    quorum: int = 0
    cadence: Cadence = Cadence()
    inbox: bool = False
    control: bool = False
    turns: Turns = "even"
    digest: str = ""
    lessons: bool = False
    """Whether its members are given what earlier org runs found."""

    def of_kind(self, kind: RoleKind) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.kind == kind)
