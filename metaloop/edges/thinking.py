"""What is checked before members think at somebody's expense."""

from __future__ import annotations

from collections.abc import Iterable

from metaloop.files.run_folder import RunTerms
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.organization import Organization


def check_thinking(organizations: Iterable[Organization], terms: RunTerms) -> None:
    """Every model that is asked can be reached as far as the environment says, and a limit on dollars has prices.

    Raises:
        ModelError: nothing says where a model is served, or its client is not installed.
        UsageError: dollars are limited, and a model has no price.
    """
    from metaloop.brains.model.chat import OpenAIChat

    asked = {member.brain for organization in organizations for member in organization.members}
    limited = terms.allowance.usd is not None or terms.total_allowance.usd is not None
    for card in terms.models:
        if card.name not in asked:
            continue
        OpenAIChat(card)
        if limited and not card.usd(1, 1):
            raise UsageError(
                f"dollars are limited, but model {card.name!r} has no prices: it would never be stopped. Add "
                "usd_per_million_prompt and usd_per_million_reply to its card, or limit --max-tokens."
            )
