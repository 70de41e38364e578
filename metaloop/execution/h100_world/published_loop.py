"""The published single-agent loop as a program: one change at a time on the incumbent, keep if better, else discard.

What a language model knows before it starts is one fitted number: ideas are ranked by what they would truly gain
plus an error of ``Agent.ignorance`` bpb. What hurts it does not know: a change for the worse is ranked like one that
does nothing. This looks at the landscape, which no organization may do; the class is a yardstick for the world, not a
player in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from metaloop.execution.h100_world.knobs import KINDS, SPACE, Kind
from metaloop.execution.h100_world.landscape import Landscape
from metaloop.execution.trainer import Trainer
from metaloop.vocabulary.records import Config, FinalState, TrainingRequest, effective
from metaloop.vocabulary.seeds import python_stream
from metaloop.vocabulary.space import Knob, Value

TRAINING_SEED = 42
"""All published experiments but one ran on it."""
MOST_REDRAWN = 100
"""Ideas in a row that may turn out to change nothing (a bound reached) before the loop gives up."""


@dataclass(frozen=True)
class Agent:
    """Habits of the proposer. Shares of the kinds are published counts; the rest was fitted with the landscape."""

    kinds: tuple[tuple[Kind, int], ...] = (("hyperparameter", 74), ("architecture", 32), ("optimizer", 18))
    """Published experiments by kind, failures included; the one change of seed is left out."""
    ignorance: float = 0.0004
    """sd of the error in what an idea is thought to gain (bpb)."""
    sizes: tuple[float, ...] = (0.05, 0.1, 0.2)
    """Lengths of steps that are thought of (share of a knob's range)."""
    size_spread: float = 0.3
    """sd of the logarithm of a step's length around them."""


HABITS = Agent()


class Tried(NamedTuple):
    """One experiment: what kind of change, how it ended, its delta against the incumbent (bpb; ``None``: failed),
    and the incumbent's measured bpb afterwards."""

    kind: Kind
    state: FinalState
    delta: float | None
    kept: bool
    incumbent: float


class Idea(NamedTuple):
    """A step of a number (signed share of its range), or another level of a choice."""

    knob: Knob
    step: float
    level: Value | None


class PublishedLoop:
    """One run of the loop on one world."""

    def __init__(self, landscape: Landscape, trainer: Trainer, seed: int, agent: Agent = HABITS) -> None:
        self._landscape, self._trainer, self._agent = landscape, trainer, agent
        self._rng = python_stream(seed, "published-loop")
        self._defaults = SPACE.defaults()
        self._config: Config = {}
        self._ideas: dict[str, list[tuple[float, Idea]]] = {knob.name: self._thought_of(knob) for knob in SPACE}

    def run(self, experiments: int) -> list[Tried]:
        """The experiments after the baseline, in order."""
        incumbent = self._measure(self._config)[1]
        assert incumbent is not None, "the baseline of every world trains"
        course = []
        for _ in range(experiments):
            knob, config = self._next()
            state, bpb = self._measure(config)
            delta = None if bpb is None else bpb - incumbent
            kept = bpb is not None and bpb < incumbent
            if bpb is not None and kept:
                incumbent, self._config = bpb, config
                self._ideas[knob.name] = self._thought_of(knob)
            course.append(Tried(KINDS[knob.name], state, delta, kept, incumbent))
        return course

    def _measure(self, config: Config) -> tuple[FinalState, float | None]:
        result = self._trainer.train(TrainingRequest(config, TRAINING_SEED))
        return result.state, result.bpb.get("val")

    def _thought_of(self, knob: Knob) -> list[tuple[float, Idea]]:
        """All ideas about one knob from where it stands now, each with what it is thought to gain (bpb)."""
        here = self._config.get(knob.name, knob.default)
        if knob.numeric:
            lengths = [sign * size for size in self._agent.sizes for sign in (1, -1)]
            ideas = [Idea(knob, length * self._spread(), None) for length in lengths]
        else:
            ideas = [Idea(knob, 0.0, level) for level in knob.choices if level != here]
        return [(self._opinion(idea), idea) for idea in ideas if self._changed(idea) != self._config]

    def _spread(self) -> float:
        return math.exp(self._rng.gauss(0.0, self._agent.size_spread))

    def _opinion(self, idea: Idea) -> float:
        truth = self._landscape.stand(self._config).bpb - self._landscape.stand(self._changed(idea)).bpb
        return max(0.0, truth) + self._rng.gauss(0.0, self._agent.ignorance)

    def _next(self) -> tuple[Knob, Config]:
        """The most promising idea of a kind drawn by the published shares, and what it makes of the incumbent."""
        kinds, shares = zip(*self._agent.kinds, strict=True)
        for _ in range(MOST_REDRAWN):
            kind = self._rng.choices(kinds, shares)[0]
            open_ideas = [each for name, ideas in self._ideas.items() if KINDS[name] == kind for each in ideas]
            if not open_ideas:
                self._think_again(kind)
                continue
            best = max(open_ideas, key=lambda each: each[0])
            idea = best[1]
            self._ideas[idea.knob.name].remove(best)
            config = self._changed(idea)
            if config != self._config:
                return idea.knob, config
        raise AssertionError("no idea changes anything")

    def _think_again(self, kind: Kind) -> None:
        """Every idea of the kind was tried: draw new ones."""
        for knob in SPACE:
            if KINDS[knob.name] == kind:
                self._ideas[knob.name] = self._thought_of(knob)

    def _changed(self, idea: Idea) -> Config:
        return effective(self._config, {idea.knob.name: self._value(idea)}, self._defaults)

    def _value(self, idea: Idea) -> Value:
        """Where the idea puts its knob; a whole number moves by at least one."""
        knob = idea.knob
        if idea.level is not None:
            return idea.level
        here = self._config.get(knob.name, knob.default)
        value = knob.from_unit(knob.to_unit(here) + idea.step)
        if knob.kind == "int" and value == here:
            return min(int(knob.high or 0), max(int(knob.low or 0), int(here) + (1 if idea.step > 0 else -1)))
        return value
