"""Scripted directors: what a stand-up lays down for the proposers."""

from __future__ import annotations

from collections import defaultdict

from metaloop.brains.brain import Policy
from metaloop.brains.history import History
from metaloop.brains.moves import groups_of
from metaloop.vocabulary.decisions import Observation, StandUp, Steering
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.space import Space

WINDOW = 40
"""First trainings that a director looks back on. Not "since the last stand-up": a director that is born again is
told everything at once."""


def steered_by(director: Member, colleagues: tuple[Member, ...]) -> tuple[str, ...]:
    """The proposers whom a director steers: those it links to, else all."""
    proposers = [colleague for colleague in colleagues if colleague.kind == "proposer"]
    linked = [c for c in proposers if c.name in director.links or c.role in director.links]
    return tuple(c.name for c in linked or proposers)


class Director:
    """Looks at what came in lately and points the proposers somewhere.

    Every other proposer is left free: a team that only digs where it struck gold last week finds no new vein.
    """

    def __init__(self, member: Member, space: Space, colleagues: tuple[Member, ...]) -> None:
        self._policy = Policy(member)
        self._space = space
        self._history = History(space)
        self._proposers = steered_by(member, colleagues)

    def decide(self, observation: Observation) -> StandUp:
        self._history.fold(observation.news)
        plateau = observation.since_merge >= self._policy.whole("plateau_after")
        action = self._policy.word("on_plateau")
        if plateau and action == "broaden":
            factor = self._policy.real("broaden_factor")
            steering = dict.fromkeys(self._proposers, Steering((), factor))
            return StandUp(steering, f"{observation.since_merge} experiments without a merge: {factor:g} times bolder")
        if plateau and action == "unfocus":
            minutes = f"{observation.since_merge} experiments without a merge: all groups again"
            return StandUp(dict.fromkeys(self._proposers, Steering()), minutes)
        groups, why = self._groups(observation)
        steering = {name: Steering(groups if i % 2 == 0 else ()) for i, name in enumerate(self._proposers)}
        return StandUp(steering, f"look at {', '.join(groups)}: {why}" if groups else why)

    def _groups(self, observation: Observation) -> tuple[tuple[str, ...], str]:
        """Where to look, and why; nowhere in particular where there is no reason."""
        strategy, count = self._policy.word("strategy"), self._policy.whole("focus_groups")
        groups = self._space.groups
        if strategy == "none" or not groups:
            return (), "everyone goes on as before"
        if strategy == "rotate":
            start = observation.index * count
            turn = tuple(dict.fromkeys(groups[(start + i) % len(groups)] for i in range(min(count, len(groups)))))
            return turn, "it is their turn"
        return self._best(count)

    def _best(self, count: int) -> tuple[tuple[str, ...], str]:
        """The groups that gained most per training spent on them (bpb), best first; only groups that gained."""
        gained: defaultdict[str, float] = defaultdict(float)
        spent: defaultdict[str, float] = defaultdict(float)
        for trial in self._history.recent(WINDOW):
            groups = groups_of(self._space, (name for name, _ in trial.moves))
            for group in groups:
                spent[group] += 1 / len(groups)
                gained[group] += max(0.0, -(trial.delta or 0.0)) / len(groups)
        mean = {group: gained[group] / spent[group] for group in spent if gained[group] > 0}
        best = sorted(mean, key=lambda group: (-mean[group], group))[:count]
        if not best:
            return (), "no group has gained anything yet"
        return tuple(best), "; ".join(f"{group} brought {mean[group]:.4f} bpb a training" for group in best)
