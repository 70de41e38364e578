"""A proposer that models whole configurations, and asks for the most improvement per second of a device.

Its first proposals are whole draws: where a baseline is poor, large jumps win. From then on a regression over all
trainings says what is to be expected of further draws and of children of the best, near and far; the one with the
largest expected improvement (Jones, Schonlau and Welch 1998) per second (Snoek, Larochelle and Adams 2012) is proposed.
A training that was screened out has no score, but the beginning of its curve says where it was heading; that counts
with more noise. Where its focus is worked out, it looks everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from metaloop.brains.encoding import Array, Encoding, Mask
from metaloop.brains.evidence import Trainings
from metaloop.brains.forecast import Forecast
from metaloop.brains.proposing import Proposer
from metaloop.brains.variation import Reaches, Variation, reach_of
from metaloop.vocabulary.decisions import Observation
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config, Outcome
from metaloop.vocabulary.seeds import numpy_stream
from metaloop.vocabulary.space import Knob, Space

ANCHORS = 6
"""The best so many are parents."""
DRAWN, CHILDREN, SURVIVORS, GRANDCHILDREN = 40, 140, 8, 60
"""Candidates of a decision: whole draws, children of the anchors, and children of the most promising of both."""
LOOK = 0.25
"""Budget fraction at which curves are compared by a member that screens nothing itself."""


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
        self._trainings = Trainings(self._encoding, self.policy.real("screen_fraction") or LOOK)
        self._reaches = Reaches()
        self._best: list[tuple[float, Array]] = []
        self._opened = False
        self._expected: float | None = None

    def remember(self, news: Sequence[Outcome]) -> None:
        self._expected = None
        for outcome in news:
            self.history.note(outcome)
            place = self._trainings.take(outcome)
            if place is not None:
                self._note(outcome, self._trainings.rows[place])

    def _note(self, outcome: Outcome, row: Array) -> None:
        """Whether a reach failed; the nearest of the best so far is taken for the parent."""
        if self._best:
            anchors = np.array([anchor for _, anchor in self._best])
            failed = outcome.bpb is None and outcome.state != "stopped"
            self._reaches.note(int(reach_of(self._encoding, row[None], anchors)[0]), failed)
        if outcome.bpb is not None:
            self._best = sorted([*self._best, (outcome.bpb, row)], key=itemgetter(0))[:ANCHORS]

    def knobs(self, observation: Observation) -> tuple[Knob, ...]:
        """Those in focus, as everywhere; for good all, after ``plateau_after`` experiments without a merge."""
        if not self._opened and observation.since_merge >= self.policy.whole("plateau_after"):
            self._opened, self._own_focus = True, ()
            self._in_focus.clear()
        return super().knobs(observation)

    def predicted(self, _changes: Config, _observation: Observation) -> float | None:
        """What the last draw is expected to bring; of an idea or a whole draw nothing is known."""
        return self._expected

    def draw(self, observation: Observation, rng: random.Random) -> Config | None:
        generator = numpy_stream(rng.getrandbits(63), "candidates")
        self._expected = None
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
        """The best candidate; ``None`` if none is new."""
        pool = self._candidates(ground, forecast, generator)
        values = forecast.value(pool)
        for row in pool[np.argsort(-values, kind="stable")]:
            changes = self._whole(self._encoding.config(row), ground)
            if self.is_new(changes, observation):
                self._expect(forecast, row, observation)
                return changes
        return None

    def _candidates(self, ground: Ground, forecast: Forecast, generator: np.random.Generator) -> Array:
        """Whole draws, children of the best, and children of the most promising of these, at the reaches that train."""
        variation, allowed = ground.variation, self._reaches.allowed(generator)
        anchors = np.where(ground.focus, forecast.best_rows(ANCHORS), ground.head)
        drawn = variation.drawn(ground.head, DRAWN, generator)
        children = variation.children(anchors, CHILDREN, generator)
        pool = self._within(np.vstack([drawn, children]), anchors, allowed)
        top = pool[np.argsort(-forecast.value(pool), kind="stable")[:SURVIVORS]]
        return np.vstack([top, self._within(variation.children(top, GRANDCHILDREN, generator), anchors, allowed)])

    def _within(self, rows: Array, anchors: Array, allowed: Mask) -> Array:
        """Those at an allowed reach; all, if that leaves none."""
        kept = rows[allowed[reach_of(self._encoding, rows, anchors)]]
        return kept if len(kept) else rows

    def _expect(self, forecast: Forecast, row: Array, observation: Observation) -> None:
        score = observation.head.scores.get(0)
        self._expected = None if score is None else round(forecast.bpb(row) - score, 4)

    def _whole(self, config: Config, ground: Ground) -> Config:
        """Every knob in focus by name: what is trained does not depend on where the head is by then."""
        return {k.name: config.get(k.name, k.default) for k, used in zip(self.space, ground.focus, strict=True) if used}
