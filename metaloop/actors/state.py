"""The state of an org run: nothing but a replay of its journal (invariant 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from metaloop.actors.entries import BranchState, CanaryBook, ExperimentState, ProposalState, Status
from metaloop.actors.transitions import RULES
from metaloop.files.ledger import BudgetLedger
from metaloop.files.queue import ResearchQueue
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Steering
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.records import Config, CurvePoint, Idea, Outcome, digest


@dataclass
class OrgState:
    """Everything the controller knows. Change it only through :meth:`apply`.

    Whatever the controller asks for at every message is kept up to date here, event by event, so that no message
    costs more because there are many devices, many proposals or a long past.
    """

    started: ev.RunStarted | None = None
    root: str = ""
    """The commit of the baseline."""
    ended: bool = False
    closing: bool = False
    """Devices have been given back: the budget was found to be spent, which is never taken back."""
    ledger: BudgetLedger = field(default_factory=BudgetLedger)
    queue: ResearchQueue = field(default_factory=ResearchQueue)
    proposals: dict[str, ProposalState] = field(default_factory=dict)
    numbered: list[ProposalState] = field(default_factory=list)
    """All proposals by their number."""
    experiments: dict[str, ExperimentState] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)
    """Device to experiment."""
    ranks: dict[str, int] = field(default_factory=dict)
    """Device to its place in the order of reservation, which is the order in which devices get work."""
    hardware: dict[str, str] = field(default_factory=dict)
    """Device to what it is, where a backend has said so."""
    reservations: int = 0
    idle: set[str] = field(default_factory=set)
    """Devices held that train nothing."""
    canaries: CanaryBook = field(default_factory=CanaryBook)
    branches: dict[str, BranchState] = field(default_factory=dict)
    scores: dict[str, dict[int, float]] = field(default_factory=dict)
    """Configuration digest to validation bpb by repeat."""
    failures: dict[tuple[str, int], str] = field(default_factory=dict)
    """(configuration digest, repeat) to the final state of a training without a score."""
    curves: dict[str, tuple[CurvePoint, ...]] = field(default_factory=dict)
    """Configuration digest to its first learning curve."""
    commits: dict[str, str] = field(default_factory=dict)
    """Commit to its configuration's digest."""
    asked_for: dict[tuple[str, int], str] = field(default_factory=dict)
    """(configuration digest, repeat) to the experiment that trains it: dedup by what is trained."""
    live: dict[str, str] = field(default_factory=dict)
    """Configuration digest to the proposal that is on its way with it, oldest first."""
    in_review: set[int] = field(default_factory=set)
    judging: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    """Numbers of the live proposals of each of these statuses."""
    waiting: Mapping[Status, set[int]] = field(init=False, repr=False, compare=False)
    """The same three sets by status."""
    _digested: tuple[Config, str] = field(init=False, repr=False, compare=False)
    """The configuration that was digested last, and its digest: who proposes, proposes one configuration twice over,
    to the controller and to the journal."""
    integrating: Counter[str] = field(default_factory=Counter)
    """Feature branch to the live proposals that offer it to trunk."""
    outcomes: list[Outcome] = field(default_factory=list)
    shared_until: int = 0
    """Outcomes before this index were told at a stand-up."""
    decisions: Counter[str] = field(default_factory=Counter)
    rejected_in_a_row: Counter[str] = field(default_factory=Counter)
    deaths_in_a_row: Counter[str] = field(default_factory=Counter)
    refusals_in_a_row: Counter[str] = field(default_factory=Counter)
    steering: dict[str, Steering] = field(default_factory=dict)
    ideas: dict[str, Idea] = field(default_factory=dict)
    """Ideas that nobody has taken up yet."""
    all_ideas: dict[str, Idea] = field(default_factory=dict)
    """Every idea that ever was in the queue, oldest first."""
    scouted_at: dict[str, int] = field(default_factory=dict)
    """Scout to the finished experiments when it last answered."""
    lessons: tuple[Lesson, ...] = ()
    """What earlier org runs found, as far as this one was told."""
    sources: dict[str, str] = field(default_factory=dict)
    """Digest to text of every changed file that a proposal brought."""
    finished: int = 0
    standup_since: float | None = None
    standup_at: int = 0
    """Finished experiments at the last stand-up."""
    integrated_at: int = 0
    interruptions: int = 0
    """How often the run died and was taken up again."""
    now: float = 0.0
    teams: dict[str, str] = field(default_factory=dict)
    """Member name to team; given at construction, not journaled (the organization file says it)."""

    def __post_init__(self) -> None:
        self.waiting = {"review": self.in_review, "judging": self.judging, "held": self.held}
        self._digested = ({}, digest({}))

    def key_of(self, config: Config) -> str:
        """The digest of a configuration, which nobody changes any more."""
        last, key = self._digested
        if last is not config:
            key = digest(config)
            self._digested = (config, key)
        return key

    def apply(self, event: ev.Event) -> None:
        """Take one event into the state."""
        self.now = max(self.now, event.t)
        RULES[type(event)](self, event)


def replay(events: Iterable[ev.Event], teams: dict[str, str] | None = None) -> OrgState:
    """The state after ``events``."""
    state = OrgState(teams=dict(teams or {}))
    for event in events:
        state.apply(event)
    return state
