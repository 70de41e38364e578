"""The state of an org run: nothing but a replay of its journal (invariant 2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import singledispatchmethod
from typing import Literal

from metaloop.files.ledger import BudgetLedger
from metaloop.files.queue import ResearchQueue
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Steering
from metaloop.vocabulary.records import (
    TRUNK,
    Config,
    CurvePoint,
    Experiment,
    Idea,
    Outcome,
    Proposal,
    digest,
)

Status = Literal["review", "queued", "judging", "held", "combining", "merged", "discarded", "rejected"]
INTERRUPTED = "the run was interrupted"
"""Reason of a ``Lost`` event that does not count against the experiment."""


@dataclass
class ProposalState:
    """A proposal on its way from review to its end."""

    proposal: Proposal
    config: Config
    key: str
    status: Status = "review"
    votes: dict[str, bool] = field(default_factory=dict)
    wanted: int = 1
    combined: bool = False


@dataclass
class ExperimentState:
    """An experiment and its attempts; ``final`` is set once (invariant 4)."""

    experiment: Experiment
    device: str | None = None
    attempt: int = 0
    losses: int = 0
    started: float = 0.0
    final: str | None = None


@dataclass
class BranchState:
    """A branch: where it stands, and where it left trunk."""

    name: str
    commit: str
    config: Config
    fork: Config
    merges: int = 0
    since_merge: int = 0


@dataclass
class OrgState:
    """Everything the controller knows. Change it only through :meth:`apply`."""

    started: ev.RunStarted | None = None
    root: str = ""
    """The commit of the baseline."""
    ended: bool = False
    ledger: BudgetLedger = field(default_factory=BudgetLedger)
    queue: ResearchQueue = field(default_factory=ResearchQueue)
    proposals: dict[str, ProposalState] = field(default_factory=dict)
    experiments: dict[str, ExperimentState] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)
    """Device to experiment."""
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
    """Configuration digest to the proposal that is on its way with it."""
    outcomes: list[Outcome] = field(default_factory=list)
    shared_until: int = 0
    """Outcomes before this index were told at a stand-up."""
    decisions: Counter[str] = field(default_factory=Counter)
    rejected_in_a_row: Counter[str] = field(default_factory=Counter)
    deaths_in_a_row: Counter[str] = field(default_factory=Counter)
    steering: dict[str, Steering] = field(default_factory=dict)
    ideas: dict[str, Idea] = field(default_factory=dict)
    """Ideas that nobody has taken up yet."""
    ideas_known: set[str] = field(default_factory=set)
    finished: int = 0
    standup_since: float | None = None
    standup_at: int = 0
    """Finished experiments at the last stand-up."""
    integrated_at: int = 0
    now: float = 0.0
    teams: dict[str, str] = field(default_factory=dict)
    """Member name to team; given at construction, not journaled (the organization file says it)."""

    def apply(self, event: ev.Event) -> None:
        """Take one event into the state."""
        self.now = max(self.now, event.t)
        self._apply(event)

    @singledispatchmethod
    def _apply(self, event: ev.Event) -> None:
        raise TypeError(f"no rule for event {type(event).__name__}")

    @_apply.register
    def _(self, event: ev.RunStarted) -> None:
        self.started = event
        self.ledger.budget_s = event.budget_s
        self.root = digest({"root": event.org_digest, "seed": event.seed})
        self.branches[TRUNK] = BranchState(TRUNK, self.root, {}, {})
        self.commits[self.root] = digest({})

    @_apply.register
    def _(self, event: ev.Reserved) -> None:
        self.ledger.reserve(event.device, event.t)

    @_apply.register
    def _(self, event: ev.Released) -> None:
        self.ledger.release(event.device, event.t)

    @_apply.register
    def _(self, event: ev.Proposed) -> None:
        proposal = event.proposal
        state = ProposalState(proposal, event.config, digest(event.config))
        self.proposals[proposal.id] = state
        if proposal.idea is not None:
            self.ideas.pop(proposal.idea, None)
        self.live.setdefault(state.key, proposal.id)
        if self.scores.get(state.key) and (proposal.purpose != "candidate" or proposal.parts):
            state.status = "judging"
        if proposal.purpose == "candidate" and not proposal.parts:
            self.decisions[proposal.author] += 1
            self.deaths_in_a_row[proposal.author] = 0
            self.ledger.charge(event.cost)
        for part in proposal.parts:
            if self.proposals[part].status in ("held", "judging"):
                self.proposals[part].status = "combining"

    @_apply.register
    def _(self, event: ev.Passed) -> None:
        self.decisions[event.actor] += 1
        self.deaths_in_a_row[event.actor] = 0
        self.ledger.charge(event.cost)

    @_apply.register
    def _(self, event: ev.Reviewed) -> None:
        self.decisions[event.actor] += 1
        self.deaths_in_a_row[event.actor] = 0
        self.proposals[event.proposal].votes[event.actor] = event.approve
        self.ledger.charge(event.cost)

    @_apply.register
    def _(self, event: ev.Rejected) -> None:
        state = self.proposals[event.proposal]
        self.rejected_in_a_row[state.proposal.author] += 1
        self._close(state, "rejected")

    @_apply.register
    def _(self, event: ev.Queued) -> None:
        experiment = event.experiment
        self.experiments[experiment.id] = ExperimentState(experiment)
        self.asked_for[(digest(experiment.config), experiment.repeat)] = experiment.id
        self.queue.push(experiment)
        if experiment.proposal is not None:
            state = self.proposals[experiment.proposal]
            state.status = "queued"
            state.wanted = max(state.wanted, experiment.repeat + 1)
            self.rejected_in_a_row[state.proposal.author] = 0

    @_apply.register
    def _(self, event: ev.Started) -> None:
        self.queue.take(event.experiment)
        state = self.experiments[event.experiment]
        state.device, state.attempt, state.started = event.device, event.attempt, event.t
        self.running[event.device] = event.experiment

    @_apply.register
    def _(self, event: ev.Finished) -> None:
        state = self.experiments[event.experiment]
        state.final, state.device = event.result.state, None
        self.running.pop(event.device, None)
        self.ledger.busy_s += event.result.seconds
        self.finished += 1
        self._record_score(state.experiment, event)
        for branch in self.branches.values():
            branch.since_merge += state.experiment.branch == branch.name
        self._tell(state.experiment, event)
        if state.experiment.proposal is not None:
            self.proposals[state.experiment.proposal].status = "judging"

    @_apply.register
    def _(self, event: ev.Lost) -> None:
        state = self.experiments[event.experiment]
        state.device = None
        state.losses += event.reason != INTERRUPTED
        self.running.pop(event.device, None)
        self.queue.push(state.experiment)

    @_apply.register
    def _(self, event: ev.Dropped) -> None:
        self.queue.take(event.experiment)
        state = self.experiments[event.experiment]
        state.final = "dropped"
        if state.experiment.proposal is None:
            return
        proposal = self.proposals[state.experiment.proposal]
        if self.scores.get(proposal.key):
            proposal.status = "judging"
        else:
            self._close(proposal, "discarded")

    @_apply.register
    def _(self, event: ev.Judged) -> None:
        self.decisions[event.actor] += 1
        self.deaths_in_a_row[event.actor] = 0
        self.ledger.charge(event.cost)
        state = self.proposals[event.proposal]
        if event.verdict in ("discard", "retest"):
            self._close(state, "discarded")
        elif event.verdict == "hold":
            state.status = "held"
        elif event.verdict == "reopen":
            state.status, state.combined = "judging", True
        elif event.verdict == "repeat":
            state.wanted = max(state.wanted, event.repeats)

    @_apply.register
    def _(self, event: ev.Merged) -> None:
        branch = self.branches[event.branch]
        branch.commit, branch.config = event.commit, event.config
        self.commits[event.commit] = digest(event.config)
        branch.merges += 1
        branch.since_merge = 0
        self._close(self.proposals[event.proposal], "merged")

    @_apply.register
    def _(self, event: ev.BranchReset) -> None:
        old = self.branches.get(event.branch)
        merges = old.merges if old else 0
        self.branches[event.branch] = BranchState(event.branch, event.commit, event.config, event.config, merges)
        self.integrated_at = self.finished

    @_apply.register
    def _(self, event: ev.StandUpBegan) -> None:
        self.standup_since = event.t
        self.standup_at = self.finished

    @_apply.register
    def _(self, event: ev.StandUpEnded) -> None:
        self.decisions[event.director] += 1
        self.deaths_in_a_row[event.director] = 0
        self.ledger.charge(event.cost)
        self.standup_since = None
        self.shared_until = len(self.outcomes)
        self.steering.update(event.steering)

    @_apply.register
    def _(self, event: ev.IdeaAdded) -> None:
        self.ideas[event.idea.id] = event.idea
        self.ideas_known.add(event.idea.id)

    @_apply.register
    def _(self, event: ev.ActorDied) -> None:
        self.deaths_in_a_row[event.actor] += 1

    @_apply.register
    def _(self, event: ev.Interrupted) -> None:
        for device in list(self.ledger.held):
            self.ledger.release(device, event.t)

    @_apply.register
    def _(self, _event: ev.RunEnded) -> None:
        self.ended = True

    def _record_score(self, experiment: Experiment, event: ev.Finished) -> None:
        key = digest(experiment.config)
        score = event.result.bpb.get("val") if event.result.state == "ok" else None
        if score is None:
            self.failures[(key, experiment.repeat)] = event.result.state
            return
        self.scores.setdefault(key, {})[experiment.repeat] = score
        self.curves.setdefault(key, event.result.curve)

    def _tell(self, experiment: Experiment, event: ev.Finished) -> None:
        branch = self.branches[experiment.branch]
        state = self.proposals[experiment.proposal] if experiment.proposal else None
        author = state.proposal.author if state else ""
        score = event.result.bpb.get("val") if event.result.state == "ok" else None
        head = self.scores.get(digest(branch.config), {}).get(experiment.repeat)
        self.outcomes.append(
            Outcome(
                experiment=experiment.id,
                proposal=experiment.proposal,
                author=author,
                team=self.teams.get(author, ""),
                branch=experiment.branch,
                purpose=experiment.purpose,
                changes=state.proposal.changes if state else {},
                config=experiment.config,
                repeat=experiment.repeat,
                state=event.result.state,
                bpb=score,
                delta=None if score is None or head is None or state is None else score - head,
            )
        )

    def _close(self, state: ProposalState, status: Literal["merged", "discarded", "rejected"]) -> None:
        state.status = status
        if self.live.get(state.key) == state.proposal.id:
            del self.live[state.key]
        for part in state.proposal.parts:
            if self.proposals[part].status != "combining":
                continue
            if status == "merged":
                self._close(self.proposals[part], "merged")
            else:
                self.proposals[part].status = "judging"
                self.proposals[part].combined = True


def replay(events: Iterable[ev.Event], teams: dict[str, str] | None = None) -> OrgState:
    """The state after ``events``."""
    state = OrgState(teams=dict(teams or {}))
    apply: Callable[[ev.Event], None] = state.apply
    for event in events:
        apply(event)
    return state
