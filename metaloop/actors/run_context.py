"""What the parts of a controller share: the organization, the state with its journal, and the outstanding asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from metaloop.actors.messages import Ask, Command
from metaloop.actors.state import BranchState, OrgState
from metaloop.actors.visibility import NewsDesk
from metaloop.files.journal import Journal
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Observation, Question, Steering
from metaloop.vocabulary.organization import Member, Organization, RoleKind
from metaloop.vocabulary.records import TRUNK, Config, Head, digest
from metaloop.vocabulary.space import Space

MOST_DEATHS = 3
"""A member that dies this often in a row without a decision is not asked again: its brain is broken."""
PENDING_SHOWN = 32
"""Configurations on their way that a proposer is shown, newest first: enough for constant-liar sampling, and the
cost of an observation stays the same on ten thousand devices."""


@dataclass(frozen=True)
class Asked:
    """An ask that waits for its decision; ``about`` is the proposal in question, ``commit`` the head shown."""

    ask: int
    member: Member
    question: Question
    about: str | None
    commit: str


class RunContext:
    """Shared ground of one org run's controller."""

    def __init__(
        self,
        organization: Organization,
        space: Space,
        seed: int,
        state: OrgState,
        journal: Journal,
    ) -> None:
        self.organization = organization
        self.space = space
        self.defaults = space.defaults()
        self.seed = seed
        self.state = state
        self.asked: dict[str, Asked] = {}
        self.out: list[Command] = []
        self.resting: dict[str, tuple[int, float]] = {}
        self._journal = journal
        self._news = NewsDesk(organization.sharing)
        self._reborn: set[str] = {member.name for member in organization.members}
        self._asks = 0
        self._members = {member.name: member for member in organization.members}
        self._observers: list[Callable[[ev.Event], None]] = []

    def watch(self, observer: Callable[[ev.Event], None]) -> None:
        """Call ``observer`` with every event after it was journaled and applied."""
        self._observers.append(observer)

    def record(self, event: ev.Event) -> None:
        """Journal the event, then apply it: in this order, so that the state never knows more than the journal."""
        self._journal.append(event)
        self.state.apply(event)
        for observer in self._observers:
            observer(event)

    def member(self, name: str) -> Member:
        return self._members[name]

    def retired(self, name: str) -> bool:
        """Whether the member is no longer asked."""
        return self.state.deaths_in_a_row[name] >= MOST_DEATHS

    def free(self, member: Member) -> bool:
        """Whether the member can be asked now."""
        return member.name not in self.asked and not self.retired(member.name)

    def recipients(self, member: Member, kind: RoleKind) -> tuple[Member, ...]:
        """Whom ``member`` hands work of this kind to: those it links to, else its team's, else everyone's."""
        able = [m for m in self.organization.of_kind(kind) if not self.retired(m.name)]
        linked = [m for m in able if m.name in member.links or m.role in member.links]
        team = [m for m in able if m.team and m.team == member.team]
        common = [m for m in able if not m.team]
        return tuple(linked or team or common or able)

    def branch_of(self, member: Member) -> BranchState:
        """Where the member's proposals go."""
        if self.organization.branching == "teams" and member.team:
            return self.state.branches.get(f"team/{member.team}", self.state.branches[TRUNK])
        return self.state.branches[TRUNK]

    def head(self, branch: BranchState) -> Head:
        return Head(
            branch.name, branch.commit, branch.config, self.state.scores.get(digest(branch.config), {}), branch.merges
        )

    def pending(self) -> tuple[Config, ...]:
        """Configurations on their way, newest first."""
        ids = islice(reversed(self.state.live.values()), PENDING_SHOWN)
        return tuple(self.state.proposals[i].config for i in ids)

    def ask(self, member: Member, question: Question, now: float, about: str | None = None, **fields: Any) -> None:
        """Put a question to a free member; a member that is busy or retired is left alone."""
        if not self.free(member):
            return
        reborn = member.name in self._reborn
        if reborn:
            self._news.forget(member.name)
            self._reborn.discard(member.name)
        branch = fields.pop("branch", None) or self.branch_of(member)
        observation = Observation(
            question=question,
            index=self.state.decisions[member.name],
            head=self.head(branch),
            budget_spent=self.state.ledger.share(now),
            news=self._news.take(member, self.state),
            steering=self.state.steering.get(member.name, Steering()),
            since_merge=branch.since_merge,
            **fields,
        )
        self._asks += 1
        self.asked[member.name] = Asked(self._asks, member, question, about, branch.commit)
        self.out.append(Ask(self._asks, member.name, observation, reborn))

    def lose_actor(self, name: str, reason: str, now: float) -> None:
        """The member's process died: what it was asked is asked again of its next life."""
        self.asked.pop(name, None)
        self._reborn.add(name)
        self.record(ev.ActorDied(now, name, reason))
