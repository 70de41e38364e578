"""From a member to its brain."""

from __future__ import annotations

from collections.abc import Callable

from metaloop.brains.bayes import BayesProposer
from metaloop.brains.brain import Brain, Policy
from metaloop.brains.directing import Director
from metaloop.brains.local import Combiner, Explorer, LocalProposer
from metaloop.brains.merging import make_merger
from metaloop.brains.proposing import AblationProposer, IdeaTaker, RandomProposer
from metaloop.brains.reviewing import Reviewer
from metaloop.brains.tpe import TpeProposer
from metaloop.vocabulary.errors import MetaloopError
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.space import Space


def make_brain(member: Member, space: Space, seed: int, colleagues: tuple[Member, ...]) -> Brain:
    """The brain that the member's role file asks for.

    Raises:
        MetaloopError: no brain of that name exists.
    """
    if member.brain != "scripted":
        raise MetaloopError(
            f"member {member.name} asks for model {member.brain!r}, but only `scripted` brains exist so far. "
            "Set `model: scripted`."
        )
    if member.kind == "proposer":
        return _proposers()[Policy(member).word("strategy")](member, space, seed)
    if member.kind == "reviewer":
        return Reviewer(member, space)
    if member.kind == "merger":
        return make_merger(member, space)
    return Director(member, space, colleagues)


def _proposers() -> dict[str, Callable[[Member, Space, int], Brain]]:
    return {
        "local": LocalProposer,
        "random": RandomProposer,
        "tpe": TpeProposer,
        "ablation": AblationProposer,
        "combine": Combiner,
        "explore": Explorer,
        "ideas": IdeaTaker,
        "bayes": BayesProposer,
    }
