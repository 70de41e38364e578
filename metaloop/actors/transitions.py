"""What each event does to the state of an org run: one function per kind of event, and a table of them.

A table and not ``singledispatch``: a look-up by type costs a tenth, and there are six events to an experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from metaloop.actors.entries import INTERRUPTED, BranchState, CanaryBook, ExperimentState, ProposalState, Status
from metaloop.actors.holding import (
    canary_ended,
    canary_started,
    equipped,
    frees,
    leaves_idle,
    released,
    reserved,
    set_aside,
)
from metaloop.actors.sayings import actor_died, decided, passed, refused, scouted
from metaloop.actors.telling import record_score, tell
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import TRUNK, digest

if TYPE_CHECKING:
    from metaloop.actors.state import OrgState


def _run_started(state: OrgState, event: ev.RunStarted) -> None:
    state.started = event
    state.ledger.budget_s, state.ledger.group = event.budget_s, event.devices_per_experiment
    state.root = digest({"root": event.org_digest, "seed": event.seed})
    state.branches[TRUNK] = BranchState(TRUNK, state.root, {}, digest({}), {})
    state.commits[state.root] = digest({})


def _interrupted(state: OrgState, event: ev.Interrupted) -> None:
    state.interruptions += 1
    state.idle.clear()
    state.canaries = CanaryBook(state.canaries.count)  # who comes back may be another machine
    for device in list(state.ledger.held):
        state.ledger.release(device, event.t)


def _source_written(state: OrgState, event: ev.SourceWritten) -> None:
    state.sources.setdefault(event.digest, event.text)


def _proposed(state: OrgState, event: ev.Proposed) -> None:
    proposal = event.proposal
    entry = ProposalState(proposal, event.config, state.key_of(event.config), len(state.numbered))
    state.proposals[proposal.id] = entry
    state.numbered.append(entry)
    if proposal.idea is not None:
        state.ideas.pop(proposal.idea, None)
    state.live.setdefault(entry.key, proposal.id)
    if proposal.purpose == "integration" and _is_live(state, entry):
        state.integrating[proposal.author] += 1
    grown = proposal.purpose != "candidate" or bool(proposal.parts)
    # What grew out of others is judged by the training it already has, even one that failed: it is not paid twice.
    trained = bool(state.scores.get(entry.key)) or (entry.key, 0) in state.asked_for
    _move(state, entry, "judging" if grown and trained else "review")
    if not grown:
        decided(state, proposal.author, event.cost)
    for part in proposal.parts:
        if state.proposals[part].status in ("held", "judging"):
            _move(state, state.proposals[part], "combining")


def _reviewed(state: OrgState, event: ev.Reviewed) -> None:
    decided(state, event.actor, event.cost)
    state.proposals[event.proposal].votes[event.actor] = event.approve


def _rejected(state: OrgState, event: ev.Rejected) -> None:
    entry = state.proposals[event.proposal]
    state.rejected_in_a_row[entry.proposal.author] += 1
    _close(state, entry, "rejected")


def _queued(state: OrgState, event: ev.Queued) -> None:
    experiment = event.experiment
    state.queue.push(experiment)
    if experiment.proposal is None:
        key = state.key_of(experiment.config)
    else:
        entry = state.proposals[experiment.proposal]
        key = entry.key
        _move(state, entry, "queued")
        entry.wanted = max(entry.wanted, experiment.repeat + 1)
        state.rejected_in_a_row[entry.proposal.author] = 0
    state.experiments[experiment.id] = ExperimentState(experiment, key)
    state.asked_for[(key, experiment.repeat)] = experiment.id
    state.failures.pop((key, experiment.repeat), None)


def _started(state: OrgState, event: ev.Started) -> None:
    state.queue.take(event.experiment)
    entry = state.experiments[event.experiment]
    entry.device, entry.attempt, entry.started = event.device, event.attempt, event.t
    state.running[event.device] = event.experiment
    leaves_idle(state, event.device)


def _finished(state: OrgState, event: ev.Finished) -> None:
    entry = state.experiments[event.experiment]
    experiment = entry.experiment
    entry.final, entry.device = event.result.state, None
    frees(state, event.device)
    state.ledger.work(event.result.seconds)
    state.finished += 1
    record_score(state, entry, event)
    state.branches[experiment.branch].since_merge += 1
    if event.device in state.canaries.last:
        state.canaries.unproven[event.device].append(event.experiment)
    tell(state, entry, event)
    if experiment.proposal is not None:
        _move(state, state.proposals[experiment.proposal], "judging")


def _lost(state: OrgState, event: ev.Lost) -> None:
    entry = state.experiments[event.experiment]
    entry.device = None
    entry.losses += event.reason != INTERRUPTED
    frees(state, event.device)
    state.queue.push(entry.experiment)


def _dropped(state: OrgState, event: ev.Dropped) -> None:
    state.queue.take(event.experiment)
    entry = state.experiments[event.experiment]
    entry.final = "dropped"
    if entry.experiment.proposal is None:
        return
    proposal = state.proposals[entry.experiment.proposal]
    if state.scores.get(proposal.key):
        _move(state, proposal, "judging")
    else:
        _close(state, proposal, "discarded")


def _judged(state: OrgState, event: ev.Judged) -> None:
    decided(state, event.actor, event.cost)
    entry = state.proposals[event.proposal]
    if event.verdict in ("discard", "retest"):
        _close(state, entry, "discarded")
    elif event.verdict == "hold":
        _move(state, entry, "held")
    elif event.verdict == "reopen":
        entry.combined = True
        _move(state, entry, "judging")
    elif event.verdict == "repeat":
        entry.wanted = max(entry.wanted, event.repeats)


def _merged(state: OrgState, event: ev.Merged) -> None:
    branch = state.branches[event.branch]
    branch.commit, branch.config, branch.key = event.commit, event.config, state.key_of(event.config)
    state.commits[event.commit] = branch.key
    branch.merges += 1
    branch.since_merge = 0
    _close(state, state.proposals[event.proposal], "merged")


def _branch_reset(state: OrgState, event: ev.BranchReset) -> None:
    old = state.branches.get(event.branch)
    merges = old.merges if old else 0
    key = digest(event.config)
    state.branches[event.branch] = BranchState(event.branch, event.commit, event.config, key, event.config, merges)
    state.integrated_at = state.finished


def _standup_began(state: OrgState, event: ev.StandUpBegan) -> None:
    state.standup_since = event.t
    state.standup_at = state.finished


def _standup_ended(state: OrgState, event: ev.StandUpEnded) -> None:
    if event.led:
        decided(state, event.director, event.cost)
    state.standup_since = None
    state.shared_until = len(state.outcomes)
    state.steering.update(event.steering)


def _idea_added(state: OrgState, event: ev.IdeaAdded) -> None:
    state.ideas[event.idea.id] = event.idea
    state.all_ideas[event.idea.id] = event.idea


def _lessons_given(state: OrgState, event: ev.LessonsGiven) -> None:
    state.lessons = event.lessons


def _run_ended(state: OrgState, _event: ev.RunEnded) -> None:
    state.ended = True


def _is_live(state: OrgState, entry: ProposalState) -> bool:
    return state.live.get(entry.key) == entry.proposal.id


def _move(state: OrgState, entry: ProposalState, status: Status) -> None:
    """Give a proposal a status; the sets by status name it only while it is live."""
    before = state.waiting.get(entry.status)
    if before is not None:
        before.discard(entry.number)
    entry.status = status
    now = state.waiting.get(status)
    if now is not None and _is_live(state, entry):
        now.add(entry.number)


def _close(state: OrgState, entry: ProposalState, status: Literal["merged", "discarded", "rejected"]) -> None:
    """End a proposal. Its parts share its success; from its failure they go back to being judged, each alone."""
    _move(state, entry, status)
    if _is_live(state, entry):
        del state.live[entry.key]
        if entry.proposal.purpose == "integration":
            state.integrating[entry.proposal.author] -= 1
    for name in entry.proposal.parts:
        part = state.proposals[name]
        if part.status != "combining":
            continue
        if status == "merged":
            _close(state, part, "merged")
        else:
            part.combined = True
            _move(state, part, "judging")


RULES: Mapping[type, Callable[[OrgState, Any], None]] = MappingProxyType(
    {
        ev.RunStarted: _run_started,
        ev.Reserved: reserved,
        ev.Equipped: equipped,
        ev.Released: released,
        ev.SourceWritten: _source_written,
        ev.Proposed: _proposed,
        ev.Passed: passed,
        ev.Refused: refused,
        ev.Reviewed: _reviewed,
        ev.Rejected: _rejected,
        ev.Queued: _queued,
        ev.Started: _started,
        ev.Finished: _finished,
        ev.Lost: _lost,
        ev.CanaryStarted: canary_started,
        ev.CanaryEnded: canary_ended,
        ev.SetAside: set_aside,
        ev.Dropped: _dropped,
        ev.Judged: _judged,
        ev.Merged: _merged,
        ev.BranchReset: _branch_reset,
        ev.StandUpBegan: _standup_began,
        ev.StandUpEnded: _standup_ended,
        ev.IdeaAdded: _idea_added,
        ev.Scouted: scouted,
        ev.LessonsGiven: _lessons_given,
        ev.ActorDied: actor_died,
        ev.Interrupted: _interrupted,
        ev.RunEnded: _run_ended,
    }
)
"""The rule for every kind of event."""
