"""Feature branches: opened for every team, and offered to trunk now and then."""

from __future__ import annotations

from typing import NamedTuple

from metaloop.actors import changing, following_up, judging
from metaloop.actors.entries import BranchState
from metaloop.actors.run_context import RunContext
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.code import Edit, knobs_of
from metaloop.vocabulary.records import TRUNK, Config, digest

LAST_CALL = 0.85
"""Share of the budget after which feature branches are offered to trunk a last time."""


class Offer(NamedTuple):
    """What a branch at one commit has for trunk at another."""

    commits: tuple[str, str]
    changes: Config
    edits: tuple[Edit, ...]
    merged: Config
    key: str
    conflict: bool
    """Its edits do not apply to trunk any more: what the branch found cannot be had, and it starts again."""


class Integrator:
    """Offers every feature branch that has moved to trunk, at the organization's cadence and at the last call."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        teams = dict.fromkeys(m.team for m in run.organization.members if m.team)
        self._branches = [f"team/{team}" for team in teams]
        self._offers: dict[str, Offer] = {}

    def integrate(self, now: float) -> None:
        """Offer what is due. Asked of organizations with feature branches only."""
        run = self._run
        self._open_branches(now)
        every = run.organization.cadence.integrate_every
        due = every and run.state.finished - run.state.integrated_at >= every
        if not due and run.share(now) < LAST_CALL:
            return
        trunk = run.state.branches[TRUNK]
        for branch in list(run.state.branches.values()):
            if branch.name != TRUNK and not run.state.integrating[branch.name]:
                self._offer(branch, trunk, now)

    def _offer(self, branch: BranchState, trunk: BranchState, now: float) -> None:
        offer = self._of(branch, trunk)
        if not offer.changes and not offer.edits:
            return
        if offer.merged == trunk.config or offer.conflict:
            judging.restart_branch(self._run, branch.name, now)
        elif offer.key not in self._run.state.live:
            # The same configuration may be on its way elsewhere; then its score will do for both.
            change = following_up.Change(offer.changes, offer.edits)
            following_up.follow_up(self._run, change, trunk, ("integration", branch.name), now)

    def _of(self, branch: BranchState, trunk: BranchState) -> Offer:
        """The branch's offer, worked out anew only where one of the two has moved: it is asked for at every message."""
        commits = (branch.commit, trunk.commit)
        known = self._offers.get(branch.name)
        if known is not None and known.commits == commits:
            return known
        run, changes = self._run, self._difference(branch)
        edits = changing.difference(run, branch.config, branch.fork)
        found = changing.changed(run, trunk.config, changes, edits)
        merged = found.config
        offer = Offer(commits, changes, edits, merged, digest(merged), found.problem is not None)
        self._offers[branch.name] = offer
        return offer

    def _open_branches(self, now: float) -> None:
        trunk = self._run.state.branches[TRUNK]
        for branch in self._branches:
            if branch not in self._run.state.branches:
                self._run.record(ev.BranchReset(now, branch, trunk.commit, trunk.config))

    def _difference(self, branch: BranchState) -> Config:
        """The knobs that the branch changed since it left trunk."""
        names, defaults = {*knobs_of(branch.config), *knobs_of(branch.fork)}, self._run.defaults
        now = {name: branch.config.get(name, defaults[name]) for name in names}
        then = {name: branch.fork.get(name, defaults[name]) for name in names}
        return {name: now[name] for name in sorted(names) if now[name] != then[name]}
