"""From an idle device to a queued experiment: asking proposers, taking proposals, queueing."""

from __future__ import annotations

from metaloop.actors import changing
from metaloop.actors.entries import BranchState, ProposalState
from metaloop.actors.messages import Wake
from metaloop.actors.run_context import Asked, RunContext
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Decision, Pass, Propose
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import TRUNK, Cost, Experiment, Proposal, Purpose

PATIENCE = 5
"""Rejections in a row after which a proposer rests."""
REST_S = 1.0
"""Rest of a proposer that has nothing (acceptable) to propose; a new result ends it earlier."""
RESTS = 8
MOST_DOUBLINGS = 6
"""After so many rests in a row without a new result each is twice as long as the last, up to about a minute: hours of
asking every second would fill the journal and find nothing."""
FREE = Cost()
PRIORITY: dict[Purpose, int] = {"incumbent": 4, "integration": 3, "combination": 2, "repeat": 2, "candidate": 1}
"""What a device trains first: what others wait for."""


def ask_proposers(run: RunContext, now: float, idle: int) -> None:
    """Ask as many proposers as there are devices (``idle``, and places to look ahead) without work."""
    lookahead = run.organization.cadence.lookahead
    if not idle and not lookahead:
        return
    wanted = idle + lookahead - len(run.state.queue) - len(run.state.in_review) - run.open["propose"]
    proposers = run.of_kind("proposer")
    if wanted <= 0 or run.open["propose"] >= len(proposers):
        return
    for _ in range(wanted):
        able = [m for m in proposers if run.free(m) and not _rests(run, m, now)]
        if not able:
            break
        chosen = run.turns.first(able) if len(able) > 1 else able[0]
        ideas = tuple(run.state.ideas.values()) if run.organization.inbox or run.state.lessons else ()
        reads = chosen.edits and chosen.brain != "scripted"
        sources = run.texts(run.branch_of(chosen).config) if reads else {}
        run.ask(chosen, "propose", now, pending=run.pending(), ideas=ideas, sources=sources)


def _rests(run: RunContext, member: Member, now: float) -> bool:
    rest = run.resting.get(member.name)
    if rest is None:
        return False
    finished, until = rest
    if run.state.finished > finished or now >= until:
        del run.resting[member.name]
        return False
    return True


def rest(run: RunContext, name: str, now: float) -> None:
    """The proposer has nothing now: do not ask it again at once."""
    finished = run.state.finished
    since, count = run.rests.get(name, (finished, 0))
    count = count + 1 if since == finished else 1
    run.rests[name] = (finished, count)
    until = now + REST_S * 2.0 ** min(max(0, count - RESTS), MOST_DOUBLINGS)
    run.resting[name] = (finished, until)
    run.out.append(Wake(until))


def take_proposal(run: RunContext, asked: Asked, decision: Decision, now: float) -> None:
    """Record what a proposer answered, and turn away at once what is invalid or already known."""
    member = asked.member
    if isinstance(decision, Pass):
        run.record(ev.Passed(now, member.name, decision.reason, decision.cost))
        rest(run, member.name, now)
        return
    assert isinstance(decision, Propose)
    branch = run.branch_of(member)
    proposal = Proposal(
        id=f"p{len(run.state.proposals) + 1}",
        author=member.name,
        branch=branch.name,
        base=branch.commit,
        changes=decision.changes,
        hypothesis=decision.hypothesis,
        predicted_delta=decision.predicted_delta,
        screen_fraction=decision.screen_fraction,
        screen_margin=decision.screen_margin,
        screen_keep=decision.screen_keep,
        idea=decision.idea,
        edits=decision.edits,
    )
    state = open_proposal(run, proposal, branch, now, decision)
    if state is not None and not reviewers(run, state.proposal):
        enqueue(run, state, 0, now)
    if run.state.rejected_in_a_row[member.name] >= PATIENCE:
        rest(run, member.name, now)


def open_proposal(
    run: RunContext, proposal: Proposal, branch: BranchState, now: float, decision: Propose | None = None
) -> ProposalState | None:
    """Record a proposal; ``None`` if it was rejected at once."""
    found = changing.validated(run, proposal, branch)
    config = found.config
    problem = found.problem or _known(run, run.state.key_of(config), branch, proposal)
    cost = decision.cost if decision else FREE
    if not problem:
        changing.write(run, found, now)
    run.record(ev.Proposed(now, proposal, config, cost))
    state = run.state.proposals[proposal.id]
    if problem:
        run.record(ev.Rejected(now, proposal.id, problem))
        return None
    return state


def _known(run: RunContext, key: str, branch: BranchState, proposal: Proposal) -> str | None:
    """Why a configuration need not be trained: training is deterministic, so a second time tells nothing new.

    What grew out of other proposals may have been trained (on a feature branch, say): it is judged by that score.
    """
    if key == branch.key:
        return "duplicate: it is the head itself"
    if key in run.state.live:
        return f"duplicate of {run.state.live[key]}, which is on its way"
    if proposal.purpose != "candidate" or proposal.parts:
        return None
    if run.state.failures.get((key, 0)) == "stopped":
        return None
    earlier = run.state.asked_for.get((key, 0))
    return f"duplicate of {earlier}, which was trained" if earlier else None


def reviewers(run: RunContext, proposal: Proposal) -> tuple[Member, ...]:
    """Who votes on the proposal."""
    if run.organization.quorum == 0 or proposal.purpose != "candidate":
        return ()
    author = run.member(proposal.author)
    return run.recipients(author, "reviewer") if author is not None else ()


def enqueue(run: RunContext, state: ProposalState, repeat: int, now: float) -> None:
    """Queue one training of a proposal."""
    purpose: Purpose = "repeat" if repeat else state.proposal.purpose
    add_experiment(run, state.config, repeat, state.proposal.branch, (purpose, state.proposal.id), now)


def enqueue_incumbent(run: RunContext, branch: BranchState, repeat: int, now: float) -> None:
    """Queue a training of a branch head, unless one was asked for."""
    if (branch.key, repeat) not in run.state.asked_for:
        add_experiment(run, branch.config, repeat, branch.name, ("incumbent", None), now)


def add_experiment(
    run: RunContext,
    config: dict[str, bool | int | float | str],
    repeat: int,
    branch: str,
    origin: tuple[Purpose, str | None],
    now: float,
) -> None:
    """Queue an experiment; ``origin`` is its purpose and its proposal."""
    purpose, proposal = origin
    run.record(
        ev.Queued(
            now,
            Experiment(
                id=f"e{len(run.state.experiments) + 1}",
                config=config,
                repeat=repeat,
                branch=branch,
                purpose=purpose,
                priority=PRIORITY[purpose],
                proposal=proposal,
            ),
        )
    )


def measure_trunk(run: RunContext, now: float) -> None:
    """The first thing an org run trains: the baseline, without which nothing can be judged."""
    enqueue_incumbent(run, run.state.branches[TRUNK], 0, now)
