"""What is checked before members think at somebody's expense."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence

from metaloop.files.run_folder import RunTerms
from metaloop.meta.evolution.terms import EvolutionTerms
from metaloop.vocabulary.agents import AgentCard
from metaloop.vocabulary.errors import ModelError, UsageError
from metaloop.vocabulary.models import UNLIMITED
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.text import nearest


def check_thinking(organizations: Iterable[Organization], terms: RunTerms) -> None:
    """Every model that is asked can be reached as far as the environment says, and a limit on dollars has prices.

    Raises:
        ModelError: nothing says where a model is served, its client or an agent's command is missing.
        UsageError: dollars are limited, and a model has no price; or an agent does not tell what it used.
    """
    limited = terms.allowance.usd is not None or terms.total_allowance.usd is not None
    _check({member.brain for organization in organizations for member in organization.members}, terms, limited)


def check_evolution_thinking(organizations: Sequence[Organization], terms: EvolutionTerms) -> None:
    """The same of an evolution, whose rewriter is a model that is asked too.

    Raises:
        ModelError, UsageError: as :func:`check_thinking`; or the rewriter has no card, or nobody reads what it writes.
    """
    run = terms.confirmation
    asked = {member.brain for organization in organizations for member in organization.members}
    if terms.rewriter:
        known = [card.name for card in run.models]
        if terms.rewriter not in known:
            raise UsageError(
                f"--rewriter {terms.rewriter} is no model of the models file{nearest(terms.rewriter, known)}. Known: "
                f"{', '.join(known) or 'none'}. Name one, or add a card and name the file with --models."
            )
        if asked <= {"scripted"}:
            raise UsageError(
                "--rewriter rewrites prose, but no model reads any: all members are scripted. Add --model."
            )
    limited = run.allowance.usd is not None or terms.total_allowance.usd is not None
    _check({*asked, terms.rewriter}, run, limited)


def _check(asked: Container[str], terms: RunTerms, limited: bool) -> None:
    from metaloop.brains.model.chat import OpenAIChat

    for card in terms.models:
        if card.name not in asked:
            continue
        OpenAIChat(card)
        if limited and not card.usd(1, 1):
            raise UsageError(
                f"dollars are limited, but model {card.name!r} has no prices: it would never be stopped. Add "
                "usd_per_million_prompt and usd_per_million_reply to its card, or limit --max-tokens."
            )
    for agent in terms.agents:
        if agent.name in asked:
            _check_agent(agent, terms)


def _check_agent(card: AgentCard, terms: RunTerms) -> None:
    from metaloop.brains.agent.command import find

    if find(card) is None:
        raise ModelError(
            f"agent {card.name!r} needs the command {card.command[0]!r}, which is not on the PATH. Install it, or mend "
            "its card in the models file."
        )
    missing = [name for name in card.pass_variables if name not in os.environ]
    if missing:
        raise ModelError(f"agent {card.name!r} is to be handed {missing[0]}, which is not set. Set it, or drop it.")
    limits = (terms.allowance, terms.total_allowance)
    if card.usage == "none" and any(limit != UNLIMITED for limit in limits):
        raise UsageError(
            f"tokens or dollars are limited, but agent {card.name!r} does not tell what it used: it would never be "
            "stopped. Set `usage` in its card, or drop the limit."
        )
