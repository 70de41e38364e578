"""The settings of an organization, typed, bounded and documented: one table per place in ORG.md.

Validation, ``docs/formats.md`` and the meta-loop's mutations all come from these tables. A knob's name is its path
in the front matter (``cadence.standup_every``), relative to the member for :data:`MEMBER_SPACE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from metaloop.files.markdown import Keys
from metaloop.vocabulary.space import Knob, Space


def _whole(name: str, default: int, bounds: tuple[int, int], meaning: str) -> Knob:
    return Knob(name, name.rpartition(".")[0] or "organization", "int", default, *bounds, meaning=meaning)


def _choice(name: str, choices: tuple[str, ...], default: str, meaning: str) -> Knob:
    return Knob(name, "organization", "choice", default, choices=choices, meaning=meaning)


def _flag(name: str, meaning: str) -> Knob:
    return Knob(name, "organization", "bool", False, choices=(False, True), meaning=meaning)


ORG_SPACE = Space(
    (
        _choice(
            "sharing",
            ("own", "team", "all", "standup"),
            "all",
            "Whose results a proposer sees: its own; its team's; everyone's at once; everyone's at stand-ups, and its "
            "own at once. Reviewers, mergers and directors see all.",
        ),
        _choice(
            "branching",
            ("trunk", "teams"),
            "trunk",
            "Winners go straight to trunk; or to the team's feature branch, which is offered to trunk now and then.",
        ),
        _choice(
            "turns",
            ("even", "by-gain"),
            "even",
            "Which free proposer is asked next: who was asked least; or whose trainings lately brought most for their "
            "device seconds.",
        ),
        _whole("quorum", 0, (0, 9), "Reviewers' approvals that a proposal needs before it is trained (0: none)."),
        _flag("inbox", "Whether proposers are shown the ideas that people and scouts add while it runs."),
        _flag("lessons", "Whether members are told what earlier org runs found, where the run is given lessons."),
        _whole("cadence.standup_every", 0, (0, 1000), "Finished experiments from one stand-up to the next (0: never)."),
        Knob(
            "cadence.standup_seconds",
            "cadence",
            "float",
            0.0,
            0.0,
            3600.0,
            meaning="Length of a stand-up; no experiment starts while it lasts, and the devices are paid for.",
        ),
        _whole(
            "cadence.integrate_every",
            0,
            (0, 1000),
            "branching: teams: finished experiments from one integration into trunk to the next (0: only at the end).",
        ),
        _whole("cadence.lookahead", 0, (0, 16), "Proposals kept ready beyond the idle devices, so that none waits."),
    )
)
"""The scalar settings of a whole organization: what the meta-loop may turn, beside members and their policies."""

MEMBER_SPACE = Space(
    (Knob("count", "members", "int", 1, 1, 64, log=True, meaning="How many members hold this role on these terms."),)
)
"""The scalar settings of one entry of ``members``."""

CONTROL = _flag("control", "Marks a yardstick: compared against in every table, never evolved.")
"""Not in :data:`ORG_SPACE`: what an organization is compared as is no matter of tuning."""

TOP_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "name": "Lower-case words joined by '-'; equals the folder's name. Required.",
        "description": "What is special about this organization, in a sentence. Required.",
        "model": "Default brain of its members: `scripted` (the default), `human`, or a name in the models file.",
        "members": "The list of its members. Required.",
    }
)
"""Keys of ORG.md outside the tables of typed settings, with their meaning."""

MEMBER_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "role": "Name of a role file: in the organization's folder, else in the library `roles/`. Required.",
        "team": "Team the members belong to; absent: the common team, which serves everyone.",
        "policy": "Overrides of the role's policy, for these members only.",
        "model": "Brain of these members, over the role's own.",
        "links": "Roles or members that their work is handed to; absent: the own team's, else the common team's.",
    }
)
"""Keys of a member outside :data:`MEMBER_SPACE`, with their meaning."""


def keys_of(knob: Knob) -> Keys:
    """Where a knob of :data:`ORG_SPACE` stands in the front matter."""
    return tuple(knob.name.split("."))


def known_top_keys() -> tuple[str, ...]:
    """Every key ORG.md may have at its top."""
    first, last = tuple(TOP_KEYS)[:-1], tuple(TOP_KEYS)[-1]
    return (*first, CONTROL.name, *dict.fromkeys(knob.name.split(".")[0] for knob in ORG_SPACE), last)


def cadence_keys() -> tuple[str, ...]:
    """Every key that ``cadence`` may have."""
    return tuple(knob.name.split(".")[1] for knob in ORG_SPACE if knob.group == "cadence")


def member_keys() -> tuple[str, ...]:
    """Every key that a member may have."""
    return ("role", *(knob.name for knob in MEMBER_SPACE), *tuple(MEMBER_KEYS)[1:])
