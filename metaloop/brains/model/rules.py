"""From a member's policy to the rules that bind its answers, whoever gives them: a model, a coding agent, a person."""

from __future__ import annotations

from metaloop.brains.brain import Policy
from metaloop.brains.model.reply import Rules
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.space import Space


def rules_of(member: Member, space: Space, proposers: tuple[str, ...]) -> Rules:
    """The rules of a member that may change the knobs of ``space``, or steer ``proposers``."""
    policy = Policy(member)
    if member.kind == "proposer":
        look = (policy.real("screen_fraction"), policy.real("screen_margin"), policy.real("screen_keep"))
        return Rules(space, screening=look)
    if member.kind == "merger":
        strategy = policy.word("strategy")
        return Rules(
            space,
            min_gain=None if strategy == "never" else policy.real("min_gain"),
            gain_per_line=policy.real("gain_per_line"),
            test=(policy.whole("repeats"), policy.real("alpha")) if strategy == "test" else None,
            trust_stale=policy.word("on_stale") == "trust",
        )
    return Rules(space, proposers=proposers)
