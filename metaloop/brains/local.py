"""Steps around the head: the local proposer and its relatives, the explorer and the combiner."""

from __future__ import annotations

import random
from collections.abc import ItemsView
from operator import itemgetter

from metaloop.brains.brain import Fingerprint
from metaloop.brains.moves import Move, Moves, moves_between, stepped
from metaloop.brains.proposing import Proposer
from metaloop.vocabulary.decisions import Observation
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config
from metaloop.vocabulary.space import Knob, Space, Value

SHORTEST, LONGEST = 0.5, 1.25
"""Bounds of a step, in units of the boldness."""
FURTHER = 1.5
"""A step along the last win is this much longer than the last one was."""
MOST_FOLLOWED = 6
"""Wins of more changes than this have no direction that one could follow."""
NEAR = 0.01
"""The worst delta of a change that a combiner still joins (bpb, on the scale of the beliefs): about what noise makes
of nothing."""
MOST_CHANGES = 12

Option = tuple[float, str, Value]
"""What a draw of the beliefs expects of a move (on their scale), the knob, and its step or, for choices, its value."""
Ground = tuple[Knob, str, Value, float | None]
"""A knob, its name, the head's value, and its position on the knob's own scale (``None`` for choices)."""
Tried = tuple[frozenset[Move], set[Moves]]
"""Single moves, and sets of several."""


class LocalProposer(Proposer):
    """Takes the step that a draw of its beliefs likes best, or goes on along the last merged change.

    What was tried from this very head and did not move it is not tried again in the same direction.
    """

    def __init__(self, member: Member, space: Space, seed: int) -> None:
        super().__init__(member, space, seed)
        self._tried_at: tuple[Fingerprint, int] | None = None
        self._tried: Tried = (frozenset(), set())
        self._ground_of: tuple[tuple[Knob, ...], Config] = ((), {})
        self._standing: list[Ground] = []

    def boldness(self, observation: Observation) -> float:
        """Step length in units of a knob's range."""
        return min(1.0, self.policy.real("boldness") * observation.steering.boldness_factor)

    def count(self, _observation: Observation) -> int:
        """Knobs changed at once."""
        return self.policy.whole("changes_per_proposal")

    def draw(self, observation: Observation, rng: random.Random) -> Config | None:
        if rng.random() < self.policy.real("follow_wins"):
            further = self._further(observation, rng)
            if further and self.is_new(further, observation):
                return further
        return self._steps(observation, rng)

    def _steps(self, observation: Observation, rng: random.Random) -> Config | None:
        banned, sets = self._discarded(observation)
        changes = self._best(observation, self._options(observation, rng, 1.0, banned))
        if not changes:
            # Every direction failed at this length; a shorter step may still gain.
            changes = self._best(observation, self._options(observation, rng, 0.4, frozenset()))
        if len(changes) > 1 and moves_between(self.space, observation.head.config, changes) in sets:
            changes.popitem()
        return changes or None

    def _best(self, observation: Observation, options: list[Option]) -> Config:
        """As many of the options as may change at once: all that promise something, at least one."""
        changes: Config = {}
        wanted = self.count(observation)
        for bpb, name, target in sorted(options, key=itemgetter(0)):
            if len(changes) == wanted or (changes and bpb >= 0):
                break
            knob = self.space[name]
            value = self.value(observation, knob)
            new = stepped(knob, value, float(target)) if knob.numeric else target
            if new != value:
                changes[name] = new
        return changes

    def _options(
        self, observation: Observation, rng: random.Random, factor: float, banned: frozenset[Move]
    ) -> list[Option]:
        """One step per knob, each the best of one draw of its model."""
        length = self.boldness(observation) * factor
        sizes = (length * SHORTEST, length * LONGEST)
        draw_step, draw_level = self.beliefs.draw_step, self.beliefs.draw_level
        found: list[Option] = []
        for knob, name, value, unit in self._ground(observation):
            if unit is not None:
                step, bpb = draw_step(name, unit, sizes, rng)
                if (name, "+" if step > 0 else "-") not in banned:
                    found.append((bpb, name, step))
            else:
                new, bpb = draw_level(knob, value, rng)
                if (name, new) not in banned:
                    found.append((bpb, name, new))
        return found

    def _ground(self, observation: Observation) -> list[Ground]:
        """Where the head stands with every knob in focus, worked out once for a head."""
        knobs, config = self.knobs(observation), observation.head.config
        if self._ground_of[0] is not knobs or self._ground_of[1] is not config:
            values = [(knob, config.get(knob.name, knob.default)) for knob in knobs]
            self._standing = [(k, k.name, v, k.to_unit(v) if k.numeric else None) for k, v in values]
            self._ground_of = (knobs, config)
        return self._standing

    def _discarded(self, observation: Observation) -> Tried:
        """What was tried from this head; a decision asks for it at every draw, so it is kept while nothing changes."""
        state = (self.head_key(observation), len(self.history.trials))
        if state != self._tried_at:
            tried = self.history.tried_from(state[0], self.policy.whole("memory"))
            sets = {trial.moves for trial in tried}
            self._tried_at = state
            self._tried = frozenset([next(iter(moves)) for moves in sets if len(moves) == 1]), sets
        return self._tried

    def _further(self, observation: Observation, rng: random.Random) -> Config:
        """The last win again, from where it led, with a longer step; empty where there is no room or no such win."""
        trial = self.history.made.get(self.head_key(observation))
        if trial is None or trial.base is None or len(trial.moves) > MOST_FOLLOWED:
            return {}
        banned, _ = self._discarded(observation)
        allowed = {knob.name for knob in self.knobs(observation)}
        changes: Config = {}
        for name, _direction in sorted(trial.moves, key=str):
            knob = self.space[name]
            if name not in allowed or not knob.numeric or (name, _direction) in banned:
                continue
            now = self.value(observation, knob)
            step = knob.to_unit(now) - knob.to_unit(trial.base.get(name, knob.default))
            new = stepped(knob, now, step * FURTHER * rng.uniform(0.8, 1.0))
            if new != now:
                changes[name] = new
        return changes


class Explorer(LocalProposer):
    """Local steps that grow bolder and wider with every plateau length that passes without a merge."""

    def _factor(self, observation: Observation) -> float:
        level = observation.since_merge // self.policy.whole("plateau_after")
        return self.policy.real("broaden_factor") ** min(level, 4)

    def boldness(self, observation: Observation) -> float:
        return min(1.0, super().boldness(observation) * self._factor(observation))

    def count(self, observation: Observation) -> int:
        return min(MOST_CHANGES, round(super().count(observation) * self._factor(observation)))


class Combiner(LocalProposer):
    """Joins changes of different knobs that did well apart and are not on the head; too few: steps locally."""

    def __init__(self, member: Member, space: Space, seed: int) -> None:
        super().__init__(member, space, seed)
        self._pool_of: tuple[Config, tuple[Knob, ...], int] = ({}, (), -1)
        self._pooled: list[Config] = []

    def draw(self, observation: Observation, rng: random.Random) -> Config | None:
        wanted = max(2, self.policy.whole("changes_per_proposal"))
        joined: Config = {}
        parts = 0
        for changes in self._pool(observation)[: 3 * wanted]:
            if not set(changes) & set(joined) and rng.random() < 0.7:
                joined.update(changes)
                parts += 1
            if parts == wanted:
                break
        if parts >= 2 and self.is_new(joined, observation):
            return joined
        return super().draw(observation, rng)

    def _pool(self, observation: Observation) -> list[Config]:
        """Changes worth joining, best first; kept, as a decision may draw twenty times and nothing moves meanwhile."""
        knobs, head, count = self.knobs(observation), observation.head.config, len(self.history.trials)
        if self._pool_of[0] is not head or self._pool_of[1] is not knobs or self._pool_of[2] != count:
            self._pooled = self._worth_joining(head, {knob.name for knob in knobs})
            self._pool_of = (head, knobs, count)
        return self._pooled

    def _worth_joining(self, head: Config, allowed: set[str]) -> list[Config]:
        """Each change is joined once, or there would be no time for anything new."""
        found: list[tuple[float, Config]] = []
        recent = self.history.recent(self.policy.whole("memory"))
        near = NEAR * self.beliefs.scale
        joined: dict[tuple[str, Value], list[ItemsView[str, Value]]] = {}
        for trial in recent:
            if len(trial.outcome.changes) > 1:
                for item in trial.outcome.changes.items():
                    joined.setdefault(item, []).append(trial.outcome.changes.items())
        for trial in recent:
            changes = trial.outcome.changes
            if trial.delta is None or trial.delta > near or not changes.keys() <= allowed:
                continue
            if any(changes.items() < earlier for earlier in joined.get(next(iter(changes.items())), ())):
                continue
            if all(head.get(n, self.space[n].default) != v for n, v in changes.items()):
                found.append((trial.delta, changes))
        found.sort(key=itemgetter(0))
        return [changes for _, changes in found]
