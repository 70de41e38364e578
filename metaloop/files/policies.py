"""The tunable genome: every policy knob a role file may set, typed, bounded and documented, by role kind.

Validation, ``metaloop role show``, the rendered prompts and the meta-loop's Optuna distributions all come from
these tables. Gains and margins are in bits per byte (bpb).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from metaloop.vocabulary.organization import RoleKind
from metaloop.vocabulary.space import Knob, Space, Value


def _real(name: str, default: float, bounds: tuple[float, float], meaning: str, *, log: bool = False) -> Knob:
    return Knob(name, "policy", "float", default, bounds[0], bounds[1], log, meaning=meaning)


def _whole(name: str, default: int, bounds: tuple[int, int], meaning: str, *, log: bool = False) -> Knob:
    return Knob(name, "policy", "int", default, bounds[0], bounds[1], log, meaning=meaning)


def _choice(name: str, choices: tuple[str, ...], meaning: str) -> Knob:
    return Knob(name, "policy", "choice", choices[0], choices=choices, meaning=meaning)


def _flag(name: str, default: bool, meaning: str) -> Knob:
    return Knob(name, "policy", "bool", default, choices=(False, True), meaning=meaning)


_PROPOSER = Space(
    (
        _choice(
            "strategy",
            ("local", "random", "tpe", "ablation", "combine", "explore", "ideas", "bayes"),
            "How changes are found: steps around trunk; draws from the whole space; Optuna's TPE on all results "
            "seen; one knob at a time in order; joins of near-misses; local steps that broaden on a plateau; "
            "the research queue's ideas; the most improvement per second that a regression on whole configurations "
            "expects.",
        ),
        _real("boldness", 0.2, (0.01, 1.0), "Step size, as a share of a knob's range on its own scale.", log=True),
        _whole("changes_per_proposal", 1, (1, 12), "Knobs changed at once.", log=True),
        _real("follow_wins", 0.3, (0.0, 1.0), "Share of proposals that step on along the last merged change."),
        _real("idea_share", 0.0, (0.0, 1.0), "Share of proposals taken from the ideas in the research queue."),
        _whole(
            "memory",
            50,
            (0, 500),
            "First trainings looked back on: what was discarded among them is not proposed again; bayes: trainings "
            "that the regression is fitted on.",
        ),
        _real("screen_fraction", 0.0, (0.0, 0.9), "Share of the budget after which a hopeless training is killed."),
        _real("screen_margin", 0.02, (0.0, 0.5), "How far above the incumbent's curve still counts as hopeful (bpb)."),
        _real(
            "screen_keep",
            1.0,
            (0.05, 1.0),
            "Below 1, in place of the margin: only this share goes on, the best of all curves so far at that point.",
        ),
        _whole(
            "plateau_after",
            15,
            (1, 200),
            "explore, bayes: experiments without a merge that count as a plateau; bayes then looks beyond its focus.",
            log=True,
        ),
        _real("broaden_factor", 2.0, (1.0, 5.0), "explore: factor on boldness and changes for each plateau length."),
        _whole("startup_trials", 10, (1, 100), "tpe, bayes: random draws before the model is trusted.", log=True),
    )
)

_REVIEWER = Space(
    (
        _real(
            "novelty",
            0.0,
            (0.0, 0.5),
            "Least distance to anything tried, in units of a knob's range (0: differ at all).",
        ),
        _flag(
            "refuse_discarded", True, "Vote against a change whose knob and direction were discarded from this head."
        ),
        _whole("memory", 100, (0, 500), "Outcomes looked back on."),
        _real("min_predicted_gain", 0.0, (0.0, 0.1), "Least predicted improvement (bpb); 0 switches the check off."),
        _choice(
            "predictor", ("author", "neighbours"), "Whose prediction counts: the proposal's, or the nearest outcomes'."
        ),
        _whole("max_changes", 40, (1, 40), "Most knobs that one proposal may change.", log=True),
    )
)

_MERGER = Space(
    (
        _choice(
            "strategy",
            ("greedy", "test", "batch", "never"),
            "When a change is merged: its first score is better; paired repeats are significant; several "
            "winners hold together as one; never (the control).",
        ),
        _real("min_gain", 0.0, (0.0, 0.05), "Least improvement over the head (bpb)."),
        _real(
            "gain_per_line",
            0.0001,
            (0.0, 0.01),
            "Gain asked on top for every line of code that a change adds, net (bpb); lines taken away count for it.",
        ),
        _whole("repeats", 3, (1, 8), "test: scores on paired seeds before a verdict."),
        _real("alpha", 0.1, (0.001, 0.5), "test: significance asked of the one-sided paired t test.", log=True),
        _real("near_miss", 0.0, (0.0, 0.05), "Hold changes that miss min_gain by at most this (bpb), to be combined."),
        _whole("batch_size", 3, (2, 8), "batch: winners (or near-misses) that are trained as one."),
        _choice(
            "on_stale", ("retest", "trust"), "A winner measured on an older head: train it again, or trust the sum."
        ),
    )
)

_DIRECTOR = Space(
    (
        _choice(
            "strategy",
            ("refocus", "rotate", "none"),
            "Point proposers at the groups that paid; rotate groups; leave be.",
        ),
        _whole("focus_groups", 2, (1, 6), "Knob groups that proposers are pointed at."),
        _whole("plateau_after", 15, (1, 200), "Experiments without a merge that count as a plateau.", log=True),
        _choice("on_plateau", ("broaden", "unfocus", "none"), "On a plateau: bolder steps; all groups again; nothing."),
        _real("broaden_factor", 2.0, (1.0, 5.0), "Factor on boldness when broadening."),
    )
)

_SCOUT = Space(
    (
        _whole(
            "every", 10, (1, 1000), "Finished experiments from one look to the next; the first is at once.", log=True
        ),
        _whole(
            "most_open", 10, (1, 200), "Looks only while fewer ideas than this wait in the research queue.", log=True
        ),
        _whole(
            "most_new", 5, (1, 50), "Most ideas that one look adds; those that name knobs and values first.", log=True
        ),
    )
)

POLICIES: Mapping[RoleKind, Space] = MappingProxyType(
    {"proposer": _PROPOSER, "reviewer": _REVIEWER, "merger": _MERGER, "director": _DIRECTOR, "scout": _SCOUT}
)
"""Scalar policy knobs by role kind."""

NAME_LISTS: Mapping[RoleKind, Mapping[str, str]] = MappingProxyType(
    {
        "proposer": {"focus": "Knob groups of the target to change; empty for all."},
        "reviewer": {},
        "merger": {},
        "director": {},
        "scout": {
            "queries": "What to search for, one search each; of feeds and folders, what must occur; empty: everything.",
            "sources": "Sources of the sources file to look in; empty: all.",
        },
    }
)
"""Policy entries that hold a list of names, with their meaning; each defaults to the empty list."""


_STEPPING = ("local", "combine", "explore")
_DRAWING = ("local", "random", "tpe", "ablation", "combine", "explore", "bayes")
_MERGING = ("greedy", "test", "batch")

READ_BY: Mapping[RoleKind, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "proposer": {
            "boldness": ("ablation", "bayes", *_STEPPING),
            "changes_per_proposal": _STEPPING,
            "follow_wins": _STEPPING,
            "idea_share": _DRAWING,
            "memory": ("bayes", *_STEPPING),
            "plateau_after": ("explore", "bayes"),
            "broaden_factor": ("explore",),
            "startup_trials": ("tpe", "bayes"),
            "focus": _DRAWING,
        },
        "reviewer": {},
        "merger": {
            "min_gain": _MERGING,
            "gain_per_line": _MERGING,
            "repeats": ("test",),
            "alpha": ("test",),
            "near_miss": _MERGING,
            "batch_size": _MERGING,
            "on_stale": _MERGING,
        },
        "director": {"focus_groups": ("refocus", "rotate")},
        "scout": {},
    }
)
"""Entries that only some strategies of a kind read, with these; every strategy reads the others. To turn one that
nobody reads changes nothing."""


def is_read(kind: RoleKind, name: str, policy: Mapping[str, Value | tuple[str, ...]], *, code: bool = False) -> bool:
    """Whether a member with this whole policy ever looks at the entry ``name``; ``code``: in an organization that
    changes source code."""
    if name == "gain_per_line" and not code:
        return False
    if name in ("screen_keep", "screen_margin") and not policy["screen_fraction"]:
        return False
    if name == "screen_margin" and float(policy["screen_keep"]) < 1.0:  # type: ignore[arg-type]
        return False
    if name == "batch_size" and policy["strategy"] != "batch" and not policy["near_miss"]:
        return False
    if name == "plateau_after" and policy["strategy"] == "bayes" and not policy.get("focus"):
        return False
    strategies = READ_BY[kind].get(name)
    return strategies is None or policy["strategy"] in strategies


def defaults(kind: RoleKind) -> dict[str, Value | tuple[str, ...]]:
    """The whole policy of a role that sets nothing."""
    lists: dict[str, Value | tuple[str, ...]] = dict.fromkeys(NAME_LISTS[kind], ())
    return {**POLICIES[kind].defaults(), **lists}
