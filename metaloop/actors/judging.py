"""From a score to a moved branch: judging candidates, merging, feature branches.

Only here do branches move, and only on a merger's verdict (invariant 5).
"""

from __future__ import annotations

from metaloop.actors import proposing
from metaloop.actors.run_context import Asked, RunContext
from metaloop.actors.state import BranchState, ProposalState
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Decision, Judge
from metaloop.vocabulary.intervals import mean_interval
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import TRUNK, Candidate, Config, Cost, Proposal, Purpose, digest, effective

LAST_CALL = 0.85
"""Share of the budget after which feature branches are offered to trunk a last time."""


def pump(run: RunContext, now: float, exhausted: bool) -> None:
    """Ask for what judging lacks, and put what is ready before a merger."""
    for state in [run.state.proposals[i] for i in list(run.state.live.values())]:
        if state.status == "judging":
            _advance(run, state, now, exhausted)
    if exhausted:
        _close_held(run, now)


def _advance(run: RunContext, state: ProposalState, now: float, exhausted: bool) -> None:
    """One step for one candidate: end it, ask for more scores, or ask a merger."""
    branch = run.state.branches[state.proposal.branch]
    failure = run.state.failures.get((state.key, 0))
    if failure is not None:
        _discard(run, state, f"its training ended as {failure}: no score", now)
        return
    repeats = range(state.wanted)
    if not exhausted and not _complete(run, state, branch, repeats, now):
        return
    shown = candidate(run, state, branch)
    if not (shown.base_deltas() if shown.stale else shown.deltas()):
        _discard(run, state, "there is no score of the head to compare it with", now)
        return
    merger = _merger(run, state)
    if merger is None:
        _discard(run, state, "no merger is left to judge it", now)
        return
    judged = any(a.question == "judge" and _branch_name(run, a) == branch.name for a in run.asked.values())
    if judged:
        return
    run.ask(
        merger,
        "judge",
        now,
        about=state.proposal.id,
        branch=branch,
        candidate=shown,
        held=tuple(candidate(run, s, branch) for s in held(run) if s.proposal.branch == branch.name),
    )


def _complete(run: RunContext, state: ProposalState, branch: BranchState, repeats: range, now: float) -> bool:
    """Whether candidate and head have been trained on all wanted repeats; queue what is missing."""
    head = digest(branch.config)
    missing = [r for r in repeats if (state.key, r) not in run.state.asked_for]
    for repeat in missing:
        proposing.enqueue(run, state, repeat, now)
    for repeat in repeats:
        proposing.enqueue_incumbent(run, branch, repeat, now)
    return all(_trained(run, key, r) for key in (state.key, head) for r in repeats)


def _trained(run: RunContext, key: str, repeat: int) -> bool:
    return repeat in run.state.scores.get(key, {}) or (key, repeat) in run.state.failures


def candidate(run: RunContext, state: ProposalState, branch: BranchState) -> Candidate:
    """The candidate as its merger sees it, against the head of today."""
    merged = effective(branch.config, state.proposal.changes, run.defaults)
    return Candidate(
        proposal=state.proposal,
        config=state.config,
        scores=run.state.scores.get(state.key, {}),
        head_scores=run.state.scores.get(digest(branch.config), {}),
        base_scores=run.state.scores.get(run.state.commits[state.proposal.base], {}),
        stale=merged != state.config,
        combined=state.combined,
    )


def _merger(run: RunContext, state: ProposalState) -> Member | None:
    """Who judges: the merger its author hands work to; for integrations and the controller's own, a common one."""
    mergers = run.organization.of_kind("merger")
    author = next((m for m in run.organization.members if m.name == state.proposal.author), None)
    if state.proposal.purpose == "integration" or author is None:
        able = [m for m in mergers if not run.retired(m.name)]
        common = [m for m in able if not m.team]
        choice = common or able
    elif author.kind == "merger":
        choice = [author] if not run.retired(author.name) else []
    else:
        choice = list(run.recipients(author, "merger"))
    free = [m for m in choice if run.free(m)]
    return (free or choice or [None])[0]  # type: ignore[list-item]


def _branch_name(run: RunContext, asked: Asked) -> str | None:
    return run.state.proposals[asked.about].proposal.branch if asked.about else None


def take_verdict(run: RunContext, asked: Asked, decision: Decision, now: float) -> None:
    """Record a verdict and do what it says."""
    assert isinstance(decision, Judge)
    assert asked.about is not None
    state = run.state.proposals[asked.about]
    branch = run.state.branches[state.proposal.branch]
    if branch.commit != asked.commit:
        return
    deltas = candidate(run, state, branch).deltas()
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
    exhausted = run.state.ledger.share(now) >= 1.0
    if decision.verdict == "merge":
        _merge(run, state, branch, asked.member, now)
    elif decision.verdict == "discard" and state.proposal.purpose == "integration":
        _restart_branch(run, state.proposal.author, now)
    elif decision.verdict == "repeat" and (exhausted or decision.repeats <= len(deltas)):
        _discard(run, state, "no repeat is possible any more" if exhausted else "no new repeat was asked for", now)
    elif decision.verdict == "retest":
        _again(run, state, branch, now)
    elif decision.verdict == "combine":
        _combine(run, (state.proposal.id, *decision.together), branch, asked.member, now)


def _merge(run: RunContext, state: ProposalState, branch: BranchState, merger: Member, now: float) -> None:
    proposal = state.proposal
    deltas = candidate(run, state, branch).deltas()
    estimate = mean_interval(deltas)
    config = effective(branch.config, proposal.changes, run.defaults)
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
        _restart_branch(run, proposal.author, now)


def _again(run: RunContext, state: ProposalState, branch: BranchState, now: float) -> None:
    """Train a stale winner again on the head of today."""
    purpose: Purpose = "integration" if state.proposal.purpose == "integration" else "candidate"
    _follow_up(run, state.proposal.changes, branch, (purpose, state.proposal.author), (state.proposal.id,), now)


def _combine(run: RunContext, ids: tuple[str, ...], branch: BranchState, merger: Member, now: float) -> None:
    """Train several changes as one; where two set the same knob, the better scored comes last and wins."""
    unique = [i for i in dict.fromkeys(ids) if i in run.state.proposals]
    parts = [run.state.proposals[i] for i in unique if run.state.proposals[i].status in ("held", "judging")]
    parts.sort(key=lambda s: -min(run.state.scores.get(s.key, {}).values(), default=float("inf")))
    changes: Config = {}
    for part in parts:
        changes.update(part.proposal.changes)
    _follow_up(run, changes, branch, ("combination", merger.name), tuple(s.proposal.id for s in parts), now)


def _follow_up(
    run: RunContext,
    changes: Config,
    branch: BranchState,
    origin: tuple[Purpose, str],
    parts: tuple[str, ...],
    now: float,
) -> None:
    """A proposal that grew out of others: it needs no review. ``origin`` is its purpose and author."""
    purpose, author = origin
    proposal = Proposal(
        id=f"p{len(run.state.proposals) + 1}",
        author=author,
        branch=branch.name,
        base=branch.commit,
        changes=changes,
        hypothesis=_why(purpose, author, parts),
        purpose=purpose,
        parts=parts,
    )
    state = proposing.open_proposal(run, proposal, branch, now)
    if state is not None and state.status == "review":
        proposing.enqueue(run, state, 0, now)


def _why(purpose: Purpose, author: str, parts: tuple[str, ...]) -> str:
    names = " + ".join(parts)
    if purpose == "combination":
        return f"{names} together"
    return f"{names} again on the head of today" if parts else f"all that {author} has found, on trunk"


def _discard(run: RunContext, state: ProposalState, reason: str, now: float) -> None:
    """The controller's own verdict where there is nothing to judge."""
    run.record(ev.Judged(now, state.proposal.id, "controller", "discard", reason, Cost()))
    if state.proposal.purpose == "integration":
        _restart_branch(run, state.proposal.author, now)


def _close_held(run: RunContext, now: float) -> None:
    """At the end nothing stays held: each stands alone before its merger, the best scored first."""
    waiting = held(run)
    if not waiting or undecided(run):
        return
    best = min(waiting, key=lambda s: min(run.state.scores.get(s.key, {}).values(), default=float("inf")))
    reason = "the budget was spent before it could be combined"
    run.record(ev.Judged(now, best.proposal.id, "controller", "reopen", reason, Cost()))
    _advance(run, best, now, exhausted=True)


def held(run: RunContext) -> list[ProposalState]:
    """The proposals that wait to be combined."""
    return [s for s in (run.state.proposals[i] for i in run.state.live.values()) if s.status == "held"]


def undecided(run: RunContext) -> bool:
    """Whether a verdict is still to come."""
    open_now = any(run.state.proposals[i].status == "judging" for i in run.state.live.values())
    return open_now or any(asked.question == "judge" for asked in run.asked.values())


def integrate(run: RunContext, now: float) -> None:
    """Offer every feature branch that has moved to trunk, at the organization's cadence and at the last call."""
    if run.organization.branching != "teams":
        return
    _open_branches(run, now)
    every = run.organization.cadence.integrate_every
    due = every and run.state.finished - run.state.integrated_at >= every
    if not due and run.state.ledger.share(now) < LAST_CALL:
        return
    trunk = run.state.branches[TRUNK]
    for branch in list(run.state.branches.values()):
        changes = _difference(run, branch)
        if branch.name == TRUNK or not changes or _being_integrated(run, branch.name):
            continue
        merged = effective(trunk.config, changes, run.defaults)
        if merged == trunk.config:
            _restart_branch(run, branch.name, now)
            continue
        if digest(merged) in run.state.live:
            continue  # the same configuration is on its way elsewhere; its score will do for both
        _follow_up(run, changes, trunk, ("integration", branch.name), (), now)


def _open_branches(run: RunContext, now: float) -> None:
    trunk = run.state.branches[TRUNK]
    for team in dict.fromkeys(m.team for m in run.organization.members if m.team):
        if f"team/{team}" not in run.state.branches:
            run.record(ev.BranchReset(now, f"team/{team}", trunk.commit, trunk.config))


def _difference(run: RunContext, branch: BranchState) -> Config:
    """What the branch changed since it left trunk."""
    names = {*branch.config, *branch.fork}
    now = {name: branch.config.get(name, run.defaults[name]) for name in names}
    then = {name: branch.fork.get(name, run.defaults[name]) for name in names}
    return {name: now[name] for name in sorted(names) if now[name] != then[name]}


def _being_integrated(run: RunContext, branch: str) -> bool:
    live = (run.state.proposals[i].proposal for i in run.state.live.values())
    return any(p.purpose == "integration" and p.author == branch for p in live)


def _restart_branch(run: RunContext, branch: str, now: float) -> None:
    """After its integration was decided a feature branch starts again from trunk."""
    trunk = run.state.branches[TRUNK]
    run.record(ev.BranchReset(now, branch, trunk.commit, trunk.config))
