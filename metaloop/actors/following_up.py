"""Proposals that grow out of others: a winner again on a moved head, several changes as one, the halves of what failed.

They need no review: what they are made of had one.
"""

from __future__ import annotations

from typing import NamedTuple

from metaloop.actors import changing, proposing
from metaloop.actors.entries import BranchState, ProposalState
from metaloop.actors.run_context import RunContext
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.code import Edit
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config, Cost, Proposal, Purpose

SPLIT_FROM = 3
"""Parts from which on a failed combination of edits is split: of two, each is judged alone anyhow."""


class Change(NamedTuple):
    """The change set of a proposal that grew out of others, ``parts``."""

    changes: Config
    edits: tuple[Edit, ...] = ()
    parts: tuple[str, ...] = ()


def follow_up(
    run: RunContext,
    change: Change,
    branch: BranchState,
    origin: tuple[Purpose, str],
    now: float,
) -> None:
    """A proposal that grew out of others: it needs no review. ``origin`` is its purpose and author."""
    purpose, author = origin
    proposal = Proposal(
        id=f"p{len(run.state.proposals) + 1}",
        author=author,
        branch=branch.name,
        base=branch.commit,
        changes=change.changes,
        hypothesis=_why(purpose, author, change.parts),
        purpose=purpose,
        parts=change.parts,
        edits=change.edits,
    )
    state = proposing.open_proposal(run, proposal, branch, now)
    if state is not None and state.status == "review":
        proposing.enqueue(run, state, 0, now)


def _why(purpose: Purpose, author: str, parts: tuple[str, ...]) -> str:
    names = " + ".join(parts)
    if purpose == "combination":
        return f"{names} together"
    return f"{names} again on the head of today" if parts else f"all that {author} has found, on trunk"


def try_again(run: RunContext, state: ProposalState, branch: BranchState, now: float) -> None:
    """Train a stale winner again on the head of today."""
    purpose: Purpose = "integration" if state.proposal.purpose == "integration" else "candidate"
    change = Change(state.proposal.changes, state.proposal.edits, (state.proposal.id,))
    follow_up(run, change, branch, (purpose, state.proposal.author), now)


def combine(run: RunContext, ids: tuple[str, ...], branch: BranchState, merger: Member, now: float) -> None:
    """Train several changes as one; where two set the same knob, the better scored comes last and wins. Whose edits
    conflict with better ones' stands alone."""
    unique = [i for i in dict.fromkeys(ids) if i in run.state.proposals]
    parts = [run.state.proposals[i] for i in unique if run.state.proposals[i].status in ("held", "judging")]
    parts.sort(key=lambda s: -min(run.state.scores.get(s.key, {}).values(), default=float("inf")))
    changes, edits, left_out = changing.joined(run, branch.config, parts)
    for name in left_out:
        reason = "its edits conflict with those of the others"
        run.record(ev.Judged(now, name, "controller", "reopen", reason, Cost()))
    together = tuple(s.proposal.id for s in parts if s.proposal.id not in left_out)
    if len(together) > 1:
        follow_up(run, Change(changes, edits, together), branch, ("combination", merger.name), now)


def bisect(run: RunContext, state: ProposalState, branch: BranchState, merger: Member, now: float) -> None:
    """Look for the part that spoils a combination of edits: each half is trained as one. What knobs bring together
    is known well enough from what each brings; of code that is not so."""
    parts = state.proposal.parts
    if state.proposal.purpose != "combination" or not state.proposal.edits or len(parts) < SPLIT_FROM:
        return
    for half in (parts[: len(parts) // 2], parts[len(parts) // 2 :]):
        if len(half) > 1:
            combine(run, half, branch, merger, now)
