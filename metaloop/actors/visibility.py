"""Who sees whose results, and what a member still has to be told."""

from __future__ import annotations

from metaloop.actors.state import OrgState
from metaloop.vocabulary.organization import Member, Sharing
from metaloop.vocabulary.records import Outcome


class NewsDesk:
    """Hands every member each outcome it may see exactly once per life.

    Sharing binds proposers; reviewers, mergers and directors see all, since they answer for the whole.
    """

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing
        self._own: dict[str, int] = {}
        self._others: dict[str, int] = {}

    def forget(self, actor: str) -> None:
        """The member was reborn and knows nothing."""
        self._own.pop(actor, None)
        self._others.pop(actor, None)

    def take(self, member: Member, state: OrgState) -> tuple[Outcome, ...]:
        """The news for ``member``, oldest first; they count as told from now on."""
        outcomes = state.outcomes
        end = len(outcomes)
        own, others = self._own.get(member.name, 0), self._others.get(member.name, 0)
        limit = state.shared_until if self._waits(member) else end
        self._own[member.name], self._others[member.name] = end, max(others, limit)
        if own == others and limit == end:
            if member.kind != "proposer" or self._sharing == "all":
                return tuple(outcomes[own:])
            return tuple([o for o in outcomes[own:] if self._may_see(member, o)])
        mine = [(i, outcomes[i]) for i in range(own, end) if outcomes[i].author == member.name]
        theirs = [
            (i, outcomes[i])
            for i in range(others, limit)
            if outcomes[i].author != member.name and self._may_see(member, outcomes[i])
        ]
        return tuple(outcome for _, outcome in sorted(mine + theirs, key=lambda pair: pair[0]))

    def _waits(self, member: Member) -> bool:
        return self._sharing == "standup" and member.kind == "proposer"

    def _may_see(self, member: Member, outcome: Outcome) -> bool:
        if member.kind != "proposer" or outcome.author in (member.name, ""):
            return True
        if self._sharing == "own":
            return False
        return self._sharing != "team" or outcome.team == member.team
