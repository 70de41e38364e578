"""An organization flattened into MLflow params, so that the UI's parallel coordinates can compare organizations.

Every organization gets the same columns: settings, head counts, and every policy knob of every kind (``proposer.
boldness`` is the mean over the organization's proposers; of choices, all that occur). Where members of a kind differ,
the roles' own values follow under the role's name (``role.bold-proposer.boldness``), so that nothing is averaged away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import get_args

import msgspec

from metaloop.vocabulary.organization import Member, Organization, RoleKind
from metaloop.vocabulary.space import Value

KINDS: tuple[RoleKind, ...] = get_args(RoleKind)


def flatten(organization: Organization) -> dict[str, str]:
    """All params of an organization."""
    members = organization.members
    kinds = Counter(member.kind for member in members)
    roles = Counter(member.role for member in members)
    params: dict[str, str] = {
        "members": str(len(members)),
        **{f"members.{kind}s": str(kinds[kind]) for kind in KINDS},
        **{f"role.{role}.count": str(count) for role, count in sorted(roles.items())},
        "teams": str(len({member.team for member in members if member.team})),
        "brains": _join(member.brain for member in members),
        "sharing": organization.sharing,
        "branching": organization.branching,
        "quorum": str(organization.quorum),
        "inbox": _text(organization.inbox),
        "lessons": _text(organization.lessons),
        "turns": organization.turns,
        "control": _text(organization.control),
        **{f"cadence.{name}": _text(value) for name, value in msgspec.structs.asdict(organization.cadence).items()},
    }
    for kind in KINDS:
        params.update(_policies(kind, organization.of_kind(kind)))
    return params


def _policies(kind: RoleKind, members: tuple[Member, ...]) -> dict[str, str]:
    """Every policy knob of a kind, and the roles' own values where they differ."""
    params: dict[str, str] = {}
    for knob in members[0].policy if members else ():
        values = [member.policy[knob] for member in members]
        params[f"{kind}.{knob}"] = _summary(values)
        if any(value != values[0] for value in values):
            for role in dict.fromkeys(member.role for member in members):
                own = [member.policy[knob] for member in members if member.role == role]
                params[f"role.{role}.{knob}"] = _summary(own)
    return params


def _summary(values: list[Value | tuple[str, ...]]) -> str:
    """The common value; the mean of numbers, else all values that occur."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) and any(value != values[0] for value in values):
        return f"{sum(numbers) / len(numbers):.6g}"
    return _join(_text(value) for value in values)


def _join(values: Iterable[str]) -> str:
    return " + ".join(sorted(set(values)))


def _text(value: Value | tuple[str, ...]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return " ".join(value) or "all"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
