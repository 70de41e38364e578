"""A proposer that models whole configurations, and asks for the most improvement per second of a device.

Its first proposals are whole draws: where a baseline is poor, large jumps win. From then on a regression over all
trainings says what is to be expected of children of the best, at the reach that has paid; the one with the largest
expected improvement (Jones, Schonlau and Welch 1998) per second (Snoek, Larochelle and Adams 2012) is proposed. A
training that was screened out has no score, but the beginning of its curve says where it was heading. That counts
with more noise, and where it promises more per second than anything new, the same is proposed again, to be trained
to its end.
"""

from __future__ import annotations

import math
import random
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import msgspec
import numpy as np

from metaloop.brains.brain import fingerprint
from metaloop.brains.encoding import Array, Encoding, Mask
from metaloop.brains.evidence import Trainings
from metaloop.brains.forecast import Forecast
from metaloop.brains.proposing import Proposer
from metaloop.brains.variation import Reaches, Variation, reach_of
from metaloop.vocabulary.decisions import Observation, Propose
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config, Outcome
from metaloop.vocabulary.seeds import numpy_stream
from metaloop.vocabulary.space import Space

ANCHORS = 3
"""The best so many are parents."""
DRAWN, CHILDREN, SURVIVORS, GRANDCHILDREN = 40, 140, 8, 60
"""Candidates of a decision: whole draws, children of the anchors, and children of the most promising of both."""
LOOK = 0.25
"""Budget fraction at which curves are compared by a member that screens nothing itself."""
PASSES = 0.8
"""Share of its improvement that a new candidate keeps although screening stops some good ones; a second chance keeps
all."""


@dataclass(frozen=True)
class Ground:
    """Where a decision starts: the head, the knobs that may change, and the maker of candidates."""

    head: Array
    focus: Mask
    variation: Variation


class BayesProposer(Proposer):
    """Remembers trainings as evidence instead of beliefs; everything else follows from evidence and head."""

    def __init__(self, member: Member, space: Space, seed: int) -> None:
        super().__init__(member, space, seed)
        self._encoding = Encoding(space)
        self._screens = self.policy.real("screen_fraction")
        self._trainings = Trainings(self._encoding, self._screens or LOOK)
        self._reaches = Reaches()
        self._best: list[tuple[float, Array]] = []
        self._scores: list[float] = []
        self._expected: float | None = None
        self._second_chance = False

    def remember(self, news: Sequence[Outcome]) -> None:
        self._expected, self._second_chance = None, False
        for outcome in news:
            self.history.note(outcome)
            place = self._trainings.take(outcome)
            if place is not None:
                self._note(outcome.bpb, self._trainings.rows[place])

    def _note(self, bpb: float | None, row: Array) -> None:
        """Whether a reach paid: whether the better half of all trainings so far was joined, those without a score
        being the worst. The nearest of the best so far is taken for the parent."""
        score = math.inf if bpb is None else bpb
        if self._best:
            anchors = np.array([anchor for _, anchor in self._best])
            won = score < self._scores[len(self._scores) // 2]
            self._reaches.note(int(reach_of(self._encoding, row[None], anchors)[0]), won)
        insort(self._scores, score)
        if bpb is not None:
            self._best = sorted([*self._best, (bpb, row)], key=itemgetter(0))[:ANCHORS]

    def predicted(self, _changes: Config, _observation: Observation) -> float | None:
        """What the last draw is expected to bring; of an idea or a whole draw nothing is known."""
        return self._expected

    def is_new(self, changes: Config, observation: Observation) -> bool:
        """As everywhere, but for a second chance, which is old by nature."""
        return self._second_chance or super().is_new(changes, observation)

    def draw(self, observation: Observation, rng: random.Random) -> Config | None:
        generator = numpy_stream(rng.getrandbits(63), "candidates")
        self._expected, self._second_chance = None, False
        ground = self._ground(observation)
        begun = len(self._trainings) + len(observation.pending)
        if not self._trainings.scored or begun <= self.policy.whole("startup_trials"):
            return self._whole(self._encoding.config(ground.variation.drawn(ground.head, 1, generator)[0]), ground)
        evidence = self._trainings.evidence(max(2, self.policy.whole("memory")))
        forecast = Forecast(self._encoding, evidence, [self._encoding.row(c) for c in observation.pending])
        return self._modelled(ground, forecast, observation, generator)

    def _ground(self, observation: Observation) -> Ground:
        in_focus = {knob.name for knob in self.knobs(observation)}
        focus: Mask = np.array([knob.name in in_focus for knob in self.space], dtype=bool)
        boldness = min(1.0, self.policy.real("boldness") * observation.steering.boldness_factor)
        head = self._encoding.row(observation.head.config)
        return Ground(head, focus, Variation(self._encoding, focus, boldness))

    def _modelled(
        self, ground: Ground, forecast: Forecast, observation: Observation, generator: np.random.Generator
    ) -> Config | None:
        """The best of all candidates, old and new; ``None`` if none is new."""
        pool = self._candidates(ground, forecast, generator)
        values = forecast.value(pool)
        again = self._second_chances(ground, forecast, observation)
        if again:
            value, place = max(again)
            if value > float(values.max()) + self._favour():
                self._second_chance = True
                self._expect(forecast, self._trainings.rows[place], observation)
                return self._whole(self._trainings.outcomes[place].config, ground)
        for row in pool[np.argsort(-values, kind="stable")]:
            changes = self._whole(self._encoding.config(row), ground)
            if self.is_new(changes, observation):
                self._expect(forecast, row, observation)
                return changes
        return None

    def _candidates(self, ground: Ground, forecast: Forecast, generator: np.random.Generator) -> Array:
        """Whole draws, children of the best, and children of the most promising of these, at the reaches that pay."""
        variation, allowed = ground.variation, self._reaches.allowed(generator)
        anchors = np.where(ground.focus, forecast.best_rows(ANCHORS), ground.head)
        drawn, children = (
            variation.drawn(ground.head, DRAWN, generator),
            variation.children(anchors, CHILDREN, generator),
        )
        pool = self._within(np.vstack([drawn, children]), anchors, allowed)
        top = pool[np.argsort(-forecast.value(pool), kind="stable")[:SURVIVORS]]
        return np.vstack([top, self._within(variation.children(top, GRANDCHILDREN, generator), anchors, allowed)])

    def _within(self, rows: Array, anchors: Array, allowed: Mask) -> Array:
        """Those at an allowed reach; all, if that leaves none."""
        kept = rows[allowed[reach_of(self._encoding, rows, anchors)]]
        return kept if len(kept) else rows

    def _second_chances(self, ground: Ground, forecast: Forecast, observation: Observation) -> list[tuple[float, int]]:
        """What was stopped, is not on its way, and can be reached by changes in focus: value and place."""
        stopped = forecast.stopped_places()
        if not self._screens or not len(stopped):
            return []
        rows = np.array([self._trainings.rows[place] for place in stopped])
        pending = {fingerprint(config) for config in observation.pending}
        allowed = (rows[:, ~ground.focus] == ground.head[~ground.focus]).all(1)
        return [
            (value, place)
            for value, place, fits in zip(forecast.value(rows).tolist(), stopped, allowed, strict=True)
            if fits and fingerprint(self._trainings.outcomes[place].config) not in pending
        ]

    def _favour(self) -> float:
        """How much more than a new candidate a second chance must promise: new ones cost less, as many are stopped."""
        passing = self.policy.real("screen_keep")
        return math.log(PASSES) - math.log(self._screens + (1.0 - self._screens) * passing)

    def _expect(self, forecast: Forecast, row: Array, observation: Observation) -> None:
        score = observation.head.scores.get(0)
        self._expected = None if score is None else round(forecast.bpb(row) - score, 4)

    def _whole(self, config: Config, ground: Ground) -> Config:
        """Every knob in focus by name: what is trained does not depend on where the head is by then."""
        return {k.name: config.get(k.name, k.default) for k, used in zip(self.space, ground.focus, strict=True) if used}

    def _propose(
        self, changes: Config, observation: Observation, hypothesis: str | None = None, idea: str | None = None
    ) -> Propose:
        """A second chance is not screened again: it would be stopped at the same point."""
        made = super()._propose(changes, observation, hypothesis, idea)
        return msgspec.structs.replace(made, screen_fraction=0.0) if self._second_chance else made
