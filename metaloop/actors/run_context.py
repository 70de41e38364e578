"""What the parts of a controller share: the organization, the state with its journal, and the outstanding asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from metaloop.actors.agenda import Agenda
from metaloop.actors.entries import BranchState
from metaloop.actors.messages import Ask, Command, DevicesAre
from metaloop.actors.state import OrgState
from metaloop.actors.turns import Turns
from metaloop.actors.visibility import NewsDesk
from metaloop.files.journal import Journal
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.canaries import NO_CANARIES, CanaryTerms
from metaloop.vocabulary.code import files_of, source_digest
from metaloop.vocabulary.decisions import Observation, Question, Refuse, Steering
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.models import UNLIMITED, Allowance
from metaloop.vocabulary.organization import Member, Organization, RoleKind
from metaloop.vocabulary.records import TRUNK, Config, Head
from metaloop.vocabulary.space import Space

MOST_DEATHS = 3
"""A member that dies this often in a row without a decision is not asked again: its brain is broken."""
MOST_REFUSALS = 5
"""A member that gives so many unusable answers in a row is not asked again: it costs, and decides nothing."""
PENDING_SHOWN = 32
"""Configurations on their way that a proposer is shown, newest first: enough for constant-liar sampling, and the
cost of an observation stays the same on ten thousand devices."""
ASKS_IN_A_LIFE = 2**32
"""Every life of a controller numbers its asks from a multiple of this, so that no answer to a question of an earlier
life is taken for one to its own."""
UNSTEERED = Steering()


class Asked(NamedTuple):
    """An ask that waits for its decision; ``about`` is the proposal in question, ``branch`` and ``commit`` the head
    shown."""

    ask: int
    member: Member
    question: Question
    about: str | None
    branch: str
    commit: str


class Granted(NamedTuple):
    """What an org run may use: what thinking may cost, the files of the target that may be edited, by path, and what
    earlier org runs found; and how its devices are watched."""

    allowance: Allowance = UNLIMITED
    editable: Mapping[str, str] = MappingProxyType({})
    lessons: tuple[Lesson, ...] = ()
    canaries: CanaryTerms = NO_CANARIES


NOTHING_SPECIAL = Granted()


class RunContext:
    """Shared ground of one org run's controller."""

    def __init__(
        self,
        organization: Organization,
        space: Space,
        seed: int,
        state: OrgState,
        journal: Journal,
        granted: Granted = NOTHING_SPECIAL,
    ) -> None:
        self.organization = organization
        self.space = space
        self.defaults = space.defaults()
        self.seed = seed
        self.state = state
        self.agenda = Agenda(state)
        self.turns = Turns(organization, state)
        self.asked: dict[str, Asked] = {}
        self.open: Counter[Question] = Counter()
        """Outstanding asks by question."""
        self.judged: set[str] = set()
        """Branches that a merger was asked about."""
        self.out: list[Command] = []
        self.resting: dict[str, tuple[int, float]] = {}
        """Member to the number of results when its rest began, and when it ends."""
        self.rests: dict[str, tuple[int, int]] = {}
        """Member to the number of results at its last rest, and its rests in a row without a new one."""
        self._journal = journal
        self.rebases: dict[tuple[str, str], Any] = {}
        """(proposal, head) to where its edits lead from there."""
        self._granted = granted
        self._originals: dict[str, str] = {}
        self._news = NewsDesk(organization.sharing)
        self._reborn: set[str] = {member.name for member in organization.members}
        self._asks = 0
        self._members = {member.name: member for member in organization.members}
        self._of_kind: dict[RoleKind, tuple[Member, ...]] = {}
        self._recipients: dict[tuple[str, RoleKind], tuple[Member, ...]] = {}
        self._observers: list[Callable[[ev.Event], None]] = []

    def watch(self, observer: Callable[[ev.Event], None]) -> None:
        """Call ``observer`` with every event after it was journaled and applied."""
        self._observers.append(observer)

    def record(self, event: ev.Event) -> None:
        """Journal the event, then apply it: in this order, so that the state never knows more than the journal."""
        self._journal.append(event)
        self.state.apply(event)
        self.agenda.note(event)
        for observer in self._observers:
            observer(event)

    @property
    def canary_terms(self) -> CanaryTerms:
        """How its devices are watched."""
        return self._granted.canaries

    def equip(self, message: DevicesAre, now: float) -> None:
        """Record what devices are, where it is news: a run that is taken up again may find itself on other machines."""
        known = self.state.hardware
        news = {device: name for device, name in message.hardware.items() if known.get(device) != name}
        if news:
            self.record(ev.Equipped(now, news))

    def share(self, now: float) -> float:
        """Spent part of the budget: 1 at least once devices were given back, whatever rounding says, and once the
        members have thought for all that they were allowed."""
        share = self.state.ledger.share(now)
        return max(1.0, share) if self.state.closing or self.thought_enough else share

    @property
    def thought_enough(self) -> bool:
        """Whether the tokens or dollars for thinking are spent."""
        ledger = self.state.ledger
        return self._granted.allowance.spent(ledger.tokens, ledger.usd)

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        """What the organization is told of earlier org runs: all that it was given, if it wants to know."""
        return self._granted.lessons if self.organization.lessons else ()

    def texts(self, config: Config) -> dict[str, str]:
        """The editable files as a configuration has them, by path."""
        changed = {path: self.state.sources[digest] for path, digest in files_of(config).items()}
        return {**self._granted.editable, **changed}

    def original_digest(self, path: str) -> str:
        """The digest of a file as the target has it."""
        if path not in self._originals:
            self._originals[path] = source_digest(path, self._granted.editable[path])
        return self._originals[path]

    def member(self, name: str) -> Member | None:
        """The member of that name; branches and the controller author proposals too."""
        return self._members.get(name)

    def of_kind(self, kind: RoleKind) -> tuple[Member, ...]:
        """The organization's members of a kind."""
        if kind not in self._of_kind:
            self._of_kind[kind] = self.organization.of_kind(kind)
        return self._of_kind[kind]

    def retired(self, name: str) -> bool:
        """Whether the member is no longer asked."""
        state = self.state
        return state.deaths_in_a_row[name] >= MOST_DEATHS or state.refusals_in_a_row[name] >= MOST_REFUSALS

    def free(self, member: Member) -> bool:
        """Whether the member can be asked now."""
        return member.name not in self.asked and not self.retired(member.name)

    def recipients(self, member: Member, kind: RoleKind) -> tuple[Member, ...]:
        """Whom ``member`` hands work of this kind to: those it links to, else its team's, else everyone's."""
        known = self._recipients.get((member.name, kind))
        if known is not None:
            return known
        able = [m for m in self.of_kind(kind) if not self.retired(m.name)]
        linked = [m for m in able if m.name in member.links or m.role in member.links]
        team = [m for m in able if m.team and m.team == member.team]
        common = [m for m in able if not m.team]
        found = self._recipients[(member.name, kind)] = tuple(linked or team or common or able)
        return found

    def branch_of(self, member: Member) -> BranchState:
        """Where the member's proposals go."""
        if self.organization.branching == "teams" and member.team:
            return self.state.branches.get(f"team/{member.team}", self.state.branches[TRUNK])
        return self.state.branches[TRUNK]

    def head(self, branch: BranchState) -> Head:
        return Head(branch.name, branch.commit, branch.config, self.state.scores.get(branch.key, {}), branch.merges)

    def pending(self) -> tuple[Config, ...]:
        """Configurations on their way, newest first."""
        proposals = self.state.proposals
        return tuple([proposals[i].config for i in islice(reversed(self.state.live.values()), PENDING_SHOWN)])

    def ask(
        self,
        member: Member,
        question: Question,
        now: float,
        about: str | None = None,
        branch: BranchState | None = None,
        **fields: Any,
    ) -> None:
        """Put a question to a free member; a member that is busy or retired is left alone."""
        name = member.name
        if not self.free(member):
            return
        reborn = name in self._reborn
        if reborn:
            self._news.forget(name)
            self._reborn.discard(name)
        branch = branch or self.branch_of(member)
        observation = Observation(
            question=question,
            index=self.state.decisions[name],
            head=self.head(branch),
            budget_spent=self.share(now),
            news=self._news.take(member, self.state),
            steering=self.state.steering.get(name, UNSTEERED),
            since_merge=branch.since_merge,
            lessons=self.state.lessons if reborn else (),
            **fields,
        )
        self._asks += 1
        number = self.state.interruptions * ASKS_IN_A_LIFE + self._asks
        self.asked[name] = Asked(number, member, question, about, branch.name, branch.commit)
        self.open[question] += 1
        if question == "judge":
            self.judged.add(branch.name)
        self.out.append(Ask(number, name, observation, reborn))

    def answered(self, name: str) -> Asked | None:
        """Close the member's outstanding ask, if there is one, and return it."""
        asked = self.asked.pop(name, None)
        if asked is not None:
            self.open[asked.question] -= 1
            if asked.question == "judge":
                self.judged.discard(asked.branch)
        return asked

    def lose_actor(self, name: str, reason: str, now: float) -> None:
        """The member's process died: what it was asked is asked again of its next life."""
        self.answered(name)
        self._reborn.add(name)
        self.record(ev.ActorDied(now, name, reason))
        self._hand_over(name)

    def refuse(self, asked: Asked, refusal: Refuse, now: float) -> None:
        """The member has no usable answer to what it was asked."""
        name = asked.member.name
        said = (refusal.reason, refusal.cost, refusal.outage)
        self.record(ev.Refused(now, name, asked.question, asked.about, *said))
        self._hand_over(name)

    def _hand_over(self, name: str) -> None:
        """The work of a member that is no longer asked goes to others from now on."""
        if self.retired(name):
            self._recipients.clear()
            self.agenda.everything()
