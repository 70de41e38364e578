"""The votes: who is asked for one, and what follows from them."""

from __future__ import annotations

from metaloop.actors import proposing
from metaloop.actors.agenda import Line, Visits
from metaloop.actors.entries import ProposalState
from metaloop.actors.run_context import Asked, RunContext
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Decision, Review
from metaloop.vocabulary.organization import Member


def take_review(run: RunContext, asked: Asked, decision: Decision, now: float) -> None:
    """Record a vote."""
    assert isinstance(decision, Review)
    assert asked.about is not None
    run.record(ev.Reviewed(now, asked.about, asked.member.name, decision.approve, decision.reason, decision.cost))


def lacks(state: ProposalState, reviewer: str) -> bool:
    """Whether the reviewer may still be asked for its vote."""
    return reviewer not in state.votes and reviewer not in state.silent


def _no_quorum(state: ProposalState) -> str:
    silent = f"; no usable vote from {', '.join(sorted(state.silent))}" if state.silent else ""
    return f"voted down{silent}"


class ReviewDesk:
    """Asks for missing votes; queues what has its quorum, rejects what cannot get it any more.

    Every reviewer has a line of the proposals that lack its vote, so that a reviewer who is free again costs one look.
    """

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._lines: dict[str, Line] = {}
        self._generation = run.agenda.generation

    def settle(self, now: float) -> None:
        """Do all that the votes and free reviewers call for."""
        run, due = self._run, self._run.agenda.reviews
        if self._generation != run.agenda.generation:
            self._generation = run.agenda.generation
            self._lines.clear()
        due.intersection_update(run.state.in_review)
        if not due and not self._lines:
            return
        visits = Visits(due)
        due.clear()
        self._call(visits)
        while (number := visits.pop()) is not None:
            if number in run.state.in_review:
                self._visit(run.state.numbered[number], now)
                self._call(visits)

    def _call(self, visits: Visits) -> None:
        """Name the first proposal in the line of everyone who is free."""
        state = self._run.state
        for name, line in self._lines.items():
            if name not in self._run.asked:
                first = line.first(lambda n, name=name: n in state.in_review and lacks(state.numbered[n], name))  # type: ignore[misc]
                if first is not None:
                    visits.add(first)

    def _visit(self, state: ProposalState, now: float) -> None:
        missing = self._settle(state, now)
        if state.number in self._run.state.in_review:
            for reviewer in missing:
                self._lines.setdefault(reviewer.name, Line()).add(state.number)

    def _settle(self, state: ProposalState, now: float) -> list[Member]:
        """Queue, reject or ask for votes; the reviewers who have not voted."""
        run = self._run
        reviewers = proposing.reviewers(run, state.proposal)
        quorum = min(run.organization.quorum, len(reviewers))
        approvals = sum(state.votes.values())
        missing = [m for m in reviewers if lacks(state, m.name)]
        if approvals >= quorum:
            proposing.enqueue(run, state, 0, now)
        elif approvals + len(missing) < quorum:
            run.record(ev.Rejected(now, state.proposal.id, _no_quorum(state)))
        else:
            for reviewer in missing:
                if run.free(reviewer):
                    self._ask(reviewer, state, now)
        return missing

    def _ask(self, reviewer: Member, state: ProposalState, now: float) -> None:
        self._run.ask(
            reviewer,
            "review",
            now,
            about=state.proposal.id,
            branch=self._run.state.branches[state.proposal.branch],
            proposal=state.proposal,
            proposal_config=state.config,
            pending=self._run.pending(),
        )
