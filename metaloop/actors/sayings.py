"""What a member's answer does to the state besides its matter: it lives, is paid, and may fall silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import Cost

if TYPE_CHECKING:
    from metaloop.actors.state import OrgState


def decided(state: OrgState, actor: str, cost: Cost) -> None:
    """A member has decided: it lives, and is paid for what it declares."""
    state.decisions[actor] += 1
    state.deaths_in_a_row[actor] = 0
    state.refusals_in_a_row[actor] = 0
    if cost.tokens or cost.usd:
        state.ledger.charge(cost)


def passed(state: OrgState, event: ev.Passed) -> None:
    decided(state, event.actor, event.cost)


def refused(state: OrgState, event: ev.Refused) -> None:
    """It lives and is paid, but has decided nothing."""
    silences = state.refusals_in_a_row[event.actor] + (not event.outage)
    decided(state, event.actor, event.cost)
    state.refusals_in_a_row[event.actor] = silences
    if event.question == "scout":
        state.scouted_at[event.actor] = state.finished
    if event.proposal is not None:
        state.proposals[event.proposal].silent.add(event.actor)


def actor_died(state: OrgState, event: ev.ActorDied) -> None:
    state.deaths_in_a_row[event.actor] += 1


def scouted(state: OrgState, event: ev.Scouted) -> None:
    decided(state, event.actor, event.cost)
    state.scouted_at[event.actor] = state.finished
