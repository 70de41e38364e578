"""From a score to a moved branch: judging candidates, merging, combining.

Only here do branches move, and only on a merger's verdict (invariant 5).
"""

from __future__ import annotations

from metaloop.actors import changing, following_up, proposing
from metaloop.actors.entries import BranchState, ProposalState
from metaloop.actors.run_context import Asked, RunContext
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Decision, Judge
from metaloop.vocabulary.intervals import mean_interval
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import TRUNK, Candidate, Cost, Proposal, digest, paired


def advance(run: RunContext, state: ProposalState, now: float, exhausted: bool) -> None:
    """One step for one candidate: end it, ask for more scores, or ask a merger."""
    branch = run.state.branches[state.proposal.branch]
    failure = run.state.failures.get((state.key, 0))
    if failure is not None:
        _discard(run, state, f"its training ended as {failure}: no score", now)
        return
    if not exhausted and not _complete(run, state, branch, now):
        return
    stale = _stale(run, state, branch)
    if not _comparable(run, state.key, run.state.commits[state.proposal.base] if stale else branch.key):
        _discard(run, state, "there is no score of the head to compare it with", now)
        return
    able = [merger for merger in mergers(run, state.proposal) if merger.name not in state.silent]
    if not able:
        silent = f": no usable verdict from {', '.join(sorted(state.silent))}" if state.silent else ""
        _discard(run, state, f"no merger is left to judge it{silent}", now)
        return
    if branch.name in run.judged:
        return
    merger = next(filter(run.free, able), None)
    if merger is None:
        return
    waiting = held(run) if run.state.held else []
    run.ask(
        merger,
        "judge",
        now,
        about=state.proposal.id,
        branch=branch,
        candidate=_candidate(run, state, branch, stale),
        held=tuple([_candidate(run, s, branch) for s in waiting if s.proposal.branch == branch.name]),
    )


def _complete(run: RunContext, state: ProposalState, branch: BranchState, now: float) -> bool:
    """Whether candidate and head have been trained on all wanted repeats; queue what is missing."""
    repeats = range(state.wanted)
    for repeat in repeats:
        if (state.key, repeat) not in run.state.asked_for:
            proposing.enqueue(run, state, repeat, now)
    for repeat in repeats:
        proposing.enqueue_incumbent(run, branch, repeat, now)
    return all(trained(run, state.key, r) and trained(run, branch.key, r) for r in repeats)


def trained(run: RunContext, key: str, repeat: int) -> bool:
    """Whether the configuration's training on this repeat has ended, with a score or without."""
    return repeat in run.state.scores.get(key, ()) or (key, repeat) in run.state.failures


def _stale(run: RunContext, state: ProposalState, branch: BranchState) -> bool:
    """Whether merging would train something else than was measured; never on the commit that it was made on."""
    if branch.commit == state.proposal.base:
        return False
    there = changing.rebased(run, state, branch)
    return there.problem is not None or there.config != state.config


def _deltas(run: RunContext, state: ProposalState, branch: BranchState) -> tuple[float, ...]:
    scores = run.state.scores
    return paired(scores.get(state.key, {}), scores.get(branch.key, {}))


def _comparable(run: RunContext, key: str, other: str) -> bool:
    """Whether two configurations have scores on a common repeat."""
    scores = run.state.scores
    return not scores.get(key, {}).keys().isdisjoint(scores.get(other, {}))


def _candidate(run: RunContext, state: ProposalState, branch: BranchState, stale: bool | None = None) -> Candidate:
    """The candidate as its merger sees it, against the head of today; ``stale`` where that is known."""
    return Candidate(
        proposal=state.proposal,
        config=state.config,
        scores=run.state.scores.get(state.key, {}),
        head_scores=run.state.scores.get(branch.key, {}),
        base_scores=run.state.scores.get(run.state.commits[state.proposal.base], {}),
        stale=_stale(run, state, branch) if stale is None else stale,
        combined=state.combined,
    )


def mergers(run: RunContext, proposal: Proposal) -> tuple[Member, ...]:
    """Who may judge it: the mergers its author hands work to; for integrations, common ones."""
    author = run.member(proposal.author)
    if proposal.purpose == "integration" or author is None:
        able = tuple(m for m in run.of_kind("merger") if not run.retired(m.name))
        return tuple(m for m in able if not m.team) or able
    if author.kind == "merger":
        return () if run.retired(author.name) else (author,)
    return run.recipients(author, "merger")


def take_verdict(run: RunContext, asked: Asked, decision: Decision, now: float) -> None:
    """Record a verdict and do what it says."""
    assert isinstance(decision, Judge)
    assert asked.about is not None
    state = run.state.proposals[asked.about]
    branch = run.state.branches[state.proposal.branch]
    if branch.commit != asked.commit:
        if decision.cost != proposing.FREE:
            run.record(
                ev.Passed(now, asked.member.name, "its verdict came too late: the head had moved", decision.cost)
            )
        return
    deltas = _deltas(run, state, branch)
    estimate = mean_interval(deltas)
    run.record(
        ev.Judged(
            now,
            state.proposal.id,
            asked.member.name,
            decision.verdict,
            decision.reason,
            decision.cost,
            delta=estimate.mean if deltas else None,
            ci95=estimate.ci95,
            repeats=decision.repeats or len(deltas),
            together=decision.together,
        )
    )
    if decision.verdict == "merge":
        _merge(run, state, branch, asked.member, now)
    elif decision.verdict == "discard" and state.proposal.purpose == "integration":
        restart_branch(run, state.proposal.author, now)
    elif decision.verdict == "discard" and run.share(now) < 1.0:
        following_up.bisect(run, state, branch, asked.member, now)
    elif decision.verdict == "repeat":
        _grant_repeat(run, state, decision.repeats > len(deltas), now)
    elif decision.verdict == "retest":
        following_up.try_again(run, state, branch, now)
    elif decision.verdict == "combine":
        following_up.combine(run, (state.proposal.id, *decision.together), branch, asked.member, now)


def _grant_repeat(run: RunContext, state: ProposalState, new: bool, now: float) -> None:
    """The repeats that a merger asks for are trained, if there is a ``new`` one among them and time for it."""
    if run.share(now) >= 1.0:
        _discard(run, state, "no repeat is possible any more", now)
    elif not new:
        _discard(run, state, "no new repeat was asked for", now)


def _merge(run: RunContext, state: ProposalState, branch: BranchState, merger: Member, now: float) -> None:
    proposal = state.proposal
    deltas = _deltas(run, state, branch)
    estimate = mean_interval(deltas)
    there = changing.rebased(run, state, branch)
    if there.problem:
        _discard(run, state, f"conflict: {there.problem}", now)
        return
    changing.write(run, there, now)
    config = there.config
    commit = digest({"parent": branch.commit, "config": digest(config), "proposal": proposal.id})
    run.record(
        ev.Merged(
            t=now,
            branch=branch.name,
            commit=commit,
            parent=branch.commit,
            proposal=proposal.id,
            actor=merger.name,
            author=proposal.author,
            config=config,
            delta=estimate.mean if deltas else None,
            ci95=estimate.ci95,
            repeats=len(deltas),
            spent_s=run.state.ledger.spent_s(now),
            policy=str(merger.policy.get("strategy", "")),
        )
    )
    if proposal.purpose == "integration":
        restart_branch(run, proposal.author, now)


def _discard(run: RunContext, state: ProposalState, reason: str, now: float) -> None:
    """The controller's own verdict where there is nothing to judge."""
    run.record(ev.Judged(now, state.proposal.id, "controller", "discard", reason, Cost()))
    if state.proposal.purpose == "integration":
        restart_branch(run, state.proposal.author, now)


def close_held(run: RunContext, now: float) -> None:
    """At the end nothing stays held: each stands alone before its merger, the best scored first."""
    waiting = held(run)
    if not waiting or undecided(run):
        return
    best = min(waiting, key=lambda s: min(run.state.scores.get(s.key, {}).values(), default=float("inf")))
    reason = "the budget was spent before it could be combined"
    run.record(ev.Judged(now, best.proposal.id, "controller", "reopen", reason, Cost()))
    advance(run, best, now, exhausted=True)


def held(run: RunContext) -> list[ProposalState]:
    """The proposals that wait to be combined, oldest first."""
    return [run.state.numbered[number] for number in sorted(run.state.held)]


def undecided(run: RunContext) -> bool:
    """Whether a verdict is still to come."""
    return bool(run.state.judging) or run.open["judge"] > 0


def restart_branch(run: RunContext, branch: str, now: float) -> None:
    """After its integration was decided a feature branch starts again from trunk."""
    trunk = run.state.branches[TRUNK]
    run.record(ev.BranchReset(now, branch, trunk.commit, trunk.config))
