"""From a change set to the configuration that it leads to: knobs over knobs, edits over the files of its base.

An edit that still applies to a head that has moved is rebased by that; one that does not is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from metaloop.actors.entries import BranchState, ProposalState
from metaloop.actors.run_context import RunContext
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.code import FILE, MOST_EDITS, Edit, apply_edits, edits_between, files_of, source_digest
from metaloop.vocabulary.errors import EditError, TrainerError
from metaloop.vocabulary.records import Config, Proposal, effective


class Changed(NamedTuple):
    """Where a change set leads from one base: the configuration, the texts it needs (path, digest, text), or what
    stands against it."""

    config: Config
    written: tuple[tuple[str, str, str], ...] = ()
    problem: str | None = None


def changed(run: RunContext, base: Config, changes: Config, edits: Sequence[Edit]) -> Changed:
    """``changes`` and ``edits`` over ``base``; where the edits do not apply, the knobs' part with the problem."""
    knobs = effective(base, changes, run.defaults)
    if not edits:
        return Changed(knobs)
    try:
        written = tuple((path, source_digest(path, text), text) for path, text in _edited(run, base, edits).items())
    except EditError as error:
        return Changed(knobs, problem=str(error))
    config = {**knobs, **{FILE + path: digest for path, digest, _ in written}}
    original = {path for path, digest, _ in written if digest == run.original_digest(path)}
    return Changed({name: config[name] for name in sorted(config) if name.removeprefix(FILE) not in original}, written)


def _edited(run: RunContext, base: Config, edits: Sequence[Edit]) -> dict[str, str]:
    if len(edits) > MOST_EDITS:
        raise EditError(f"{len(edits)} edits, at most {MOST_EDITS} are allowed")
    return apply_edits(run.texts(base), edits)


def validated(run: RunContext, proposal: Proposal, branch: BranchState) -> Changed:
    """What a proposal leads to from its branch's head, with what is invalid about it, or in conflict."""
    changes, problem = proposal.changes, None
    try:
        changes = run.space.validate(proposal.changes)
    except TrainerError as error:
        problem = f"invalid: {error}"
    found = changed(run, branch.config, changes, proposal.edits)
    author = run.member(proposal.author)
    if proposal.edits and author is not None and author.kind == "proposer" and not author.edits:
        problem = problem or "invalid: it edits files, and its author's role has no tool Edit"
    if found.problem:
        fresh = proposal.purpose == "candidate" and not proposal.parts
        problem = problem or f"{'invalid' if fresh else 'conflict'}: {found.problem}"
    return found._replace(problem=problem)


def rebased(run: RunContext, state: ProposalState, branch: BranchState) -> Changed:
    """The proposal's changes over the branch's head of today. Remembered: it is asked for at every look."""
    proposal = state.proposal
    if not proposal.edits:
        return changed(run, branch.config, proposal.changes, ())
    key = (proposal.id, branch.commit)
    if key not in run.rebases:
        run.rebases[key] = changed(run, branch.config, proposal.changes, proposal.edits)
    found: Changed = run.rebases[key]
    return found


def write(run: RunContext, found: Changed, now: float) -> None:
    """Journal the texts that are new."""
    for path, digest, text in found.written:
        if digest not in run.state.sources and digest != run.original_digest(path):
            run.record(ev.SourceWritten(now, path, digest, text))


def joined(run: RunContext, base: Config, parts: Iterable[ProposalState]) -> tuple[Config, tuple[Edit, ...], list[str]]:
    """The changes of several proposals as one, the best last, and the ids of those whose edits conflict with better
    ones: they are left out. Where two set the same knob, the later one wins."""
    changes: Config = {}
    edits: tuple[Edit, ...] = ()
    left_out: list[str] = []
    kept: list[ProposalState] = []
    for part in reversed(list(parts)):
        more = (*edits, *part.proposal.edits)
        if part.proposal.edits and changed(run, base, {}, more).problem:
            left_out.append(part.proposal.id)
        else:
            edits = more
            kept.append(part)
    for part in reversed(kept):
        changes.update(part.proposal.changes)
    return changes, edits, left_out


def difference(run: RunContext, config: Config, fork: Config) -> tuple[Edit, ...]:
    """The edits that lead from the files of ``fork`` to those of ``config``."""
    paths = sorted({**files_of(config), **files_of(fork)})
    before, after = run.texts(fork), run.texts(config)
    return tuple(edit for path in paths for edit in edits_between(path, before[path], after[path]))
