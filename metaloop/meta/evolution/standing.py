"""How good every organization of an evolution is thought to be, and who may be a parent.

Organizations meet in different races against different champions, so levels are chained: a champion's level plus the
mean paired difference to it, shrunk. Shrinking is what keeps a lucky child from becoming a parent on luck: among many
equal children the best mean is high by chance, and the fewer org runs it rests on the more so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaloop.meta.racing.race import RaceState, against_champion
from metaloop.meta.racing.shrinkage import shrink

LEAST_BLOCKS = 4
"""Fewer paired org runs than this say nothing that is worth keeping."""


@dataclass
class Levels:
    """``champion`` and everybody's level (bpb of gain, relative to the first champion)."""

    champion: str
    level: dict[str, float]

    def best(self, count: int) -> list[str]:
        """The champion, then the others with the highest levels."""
        others = sorted((name for name in self.level if name != self.champion), key=lambda n: (-self.level[n], n))
        return [self.champion, *others[: count - 1]]

    def learn(self, state: RaceState) -> None:
        """Take in a race of the present champion: all differences of its challengers, shrunk together."""
        versus = {name: against_champion(state, name) for name in state.terms.challengers}
        known = {name: s for name, s in versus.items() if s.n >= LEAST_BLOCKS}
        estimates = {name: (s.mean, s.deviation / math.sqrt(s.n)) for name, s in known.items()}
        here = self.level[self.champion]
        self.level.update({name: here + value for name, value in _shrunk(estimates).items()})
        if state.accepted is not None:
            self.champion = state.accepted


def opening_levels(scores: Mapping[str, Sequence[float | None]]) -> Levels:
    """Levels after everybody ran on the same seeds; the best mean is champion. A run that failed counts as no gain."""
    values = {name: [score or 0.0 for score in found] for name, found in scores.items()}
    estimates = {name: (math.fsum(found) / len(found), _standard_error(found)) for name, found in values.items()}
    shrunk = _shrunk(estimates)
    champion = max(shrunk, key=lambda name: (shrunk[name], estimates[name][0]))
    return Levels(champion, {name: value - shrunk[champion] for name, value in shrunk.items()})


def _shrunk(estimates: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Means with their standard errors, shrunk together; one that never varied is known exactly and stays."""
    open_ = {name: estimate for name, estimate in estimates.items() if estimate[1] > 0}
    shrunk = {name: mean for name, (mean, _) in estimates.items()}
    if open_:
        means, errors = zip(*open_.values(), strict=True)
        shrunk.update(zip(open_, shrink(means, errors).scores, strict=True))
    return shrunk


def _standard_error(values: Sequence[float]) -> float:
    n = len(values)
    mean = math.fsum(values) / n
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / max(1, n - 1) / n)
