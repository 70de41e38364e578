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
from metaloop.vocabulary.agents import HUMAN
from metaloop.vocabulary.errors import ModelError
from metaloop.vocabulary.models import NO_MODELS, ThinkingTerms
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.space import Space


def make_brain(
    member: Member, space: Space, seed: int, colleagues: tuple[Member, ...], thinking: ThinkingTerms = NO_MODELS
) -> Brain:
    """The brain that the member's role file asks for.

    Raises:
        ModelError: its model is not listed, or cannot be reached from here.
    """
    if member.kind == "scout":
        from metaloop.brains.scout.scouting import Scout

        return Scout(member, space, thinking.scouting)
    if member.brain != "scripted":
        return _thinker(member, space, colleagues, thinking)
    if member.kind == "proposer":
        return _proposers()[Policy(member).word("strategy")](member, space, seed)
    if member.kind == "reviewer":
        return Reviewer(member, space)
    if member.kind == "merger":
        return make_merger(member, space)
    return Director(member, space, colleagues)


def _thinker(member: Member, space: Space, colleagues: tuple[Member, ...], thinking: ThinkingTerms) -> Brain:
    """A person, a coding agent, or a model, by the name of its card."""
    from metaloop.brains.agent.brain import AgentBrain
    from metaloop.brains.human.brain import HumanBrain
    from metaloop.brains.model.brain import ModelBrain
    from metaloop.brains.model.limits import open_chat

    if member.brain == HUMAN:
        return HumanBrain(member, space, colleagues, thinking)
    agent = thinking.agent(member.brain)
    if agent is not None:
        return AgentBrain(member, space, colleagues, agent, thinking)
    card = thinking.card(member.brain)
    if card is None:
        raise ModelError(
            f"member {member.name} asks for model {member.brain!r}, which has no card. Add one to the models file, or "
            "set `model: scripted`, or `human`."
        )
    return ModelBrain(member, space, colleagues, card, open_chat(card, thinking.limits), thinking)


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
