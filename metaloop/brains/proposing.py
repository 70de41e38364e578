"""Scripted proposers: what all strategies share, and the ones that need no model of the target."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from metaloop.brains.beliefs import Beliefs
from metaloop.brains.brain import Fingerprint, Policy, fingerprint, streams
from metaloop.brains.history import History, Trial
from metaloop.brains.moves import describe, stepped
from metaloop.vocabulary.decisions import Observation, Pass, Propose
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config, Idea, Outcome, effective
from metaloop.vocabulary.space import Knob, Space, Value

MOST_TRIES = 20
"""Draws before a proposer passes because all it finds is known."""
MOST_SPELLED_OUT = 6
"""A change of more knobs is called a whole configuration."""


class Proposer:
    """Memory, ideas, refusal of what is known, hypothesis and prediction: everything but where changes come from."""

    def __init__(self, member: Member, space: Space, seed: int) -> None:
        self._streams = streams(seed, member)
        self.space = space
        self.policy = Policy(member)
        self.defaults = space.defaults()
        self.history = History(space)
        self.beliefs = Beliefs(space)
        self._seen_head: Config | None = None
        self._head_key: Fingerprint = frozenset()
        self._own_focus = self.policy.names("focus")
        self._in_focus: dict[tuple[str, ...], tuple[Knob, ...]] = {}

    def decide(self, observation: Observation) -> Propose | Pass:
        self.recall(observation.lessons)
        self.remember(observation.news)
        proven = self.take_proven(observation)
        if proven is not None:
            return proven
        rng = self._streams.at(observation.index)
        if rng.random() < self.policy.real("idea_share"):
            idea = self.take_idea(observation)
            if idea is not None:
                return idea
        for _ in range(MOST_TRIES):
            changes = self.draw(observation, rng)
            if changes is None:
                return Pass("nothing untried is left in its focus")
            if self.is_new(changes, observation):
                return self._propose(changes, observation)
        return Pass(f"{MOST_TRIES} draws in a row gave only what was tried or is on its way")

    def remember(self, news: Sequence[Outcome]) -> None:
        """Take in the news."""
        for trial in self.history.fold(news):
            self.learn(trial)

    def recall(self, lessons: Sequence[Lesson]) -> None:
        """Take in what earlier org runs found, as far as it was trained there and not merged: it counts as tried."""
        for trial in self.history.recall(lessons):
            self.learn(trial)

    def learn(self, trial: Trial) -> None:
        """Take in what a training brought."""
        self.beliefs.learn(trial)

    def predicted(self, changes: Config, observation: Observation) -> float | None:
        """What the changes are believed to bring (bpb); ``None`` where nothing is believed."""
        return self.beliefs.predicted(observation.head.config, changes)

    def draw(self, observation: Observation, rng: random.Random) -> Config | None:
        """One change set, new or not; ``None`` when there is nothing to draw from."""
        raise NotImplementedError

    def knobs(self, observation: Observation) -> tuple[Knob, ...]:
        """Where to look: the director's focus within the proposer's own; its own where they have nothing in common."""
        steered = observation.steering.focus
        if steered not in self._in_focus:
            own = self._own_focus
            common = tuple(g for g in steered if g in self.space.groups and (not own or g in own))
            self._in_focus[steered] = self.space.in_groups(common or own)
        return self._in_focus[steered]

    def value(self, observation: Observation, knob: Knob) -> Value:
        """What the head holds."""
        return observation.head.config.get(knob.name, knob.default)

    def head_key(self, observation: Observation) -> Fingerprint:
        """The head's configuration, for look-ups."""
        if observation.head.config is not self._seen_head:
            self._seen_head = observation.head.config
            self._head_key = fingerprint(self._seen_head)
        return self._head_key

    def is_new(self, changes: Config, observation: Observation) -> bool:
        """Whether the changes lead to a configuration that nobody trained or trains."""
        config = effective(observation.head.config, changes, self.defaults)
        if self.history.knows(config) or config in observation.pending:
            return False
        return config != observation.head.config

    def take_idea(self, observation: Observation) -> Propose | None:
        """The first idea in the queue, counted from the member's own turn, that was not tried on any head.

        Turns differ, so that an idea that reviewers refuse does not stand in the way of the next one.
        """
        ideas = [i for i in observation.ideas if i.changes and fingerprint(i.changes) not in self.history.ideas]
        first = observation.index % max(1, len(ideas))
        return self._take_first([*ideas[first:], *ideas[:first]], observation)

    def take_proven(self, observation: Observation) -> Propose | None:
        """The first idea that an earlier org run confirmed, in the queue's order: the most gained first."""
        ideas = [i for i in observation.ideas if i.proven and fingerprint(i.changes) not in self.history.ideas]
        return self._take_first(ideas, observation)

    def _take_first(self, ideas: Sequence[Idea], observation: Observation) -> Propose | None:
        for idea in ideas:
            known = all(name in self.space for name in idea.changes)
            if known and self.is_new(idea.changes, observation):
                return self._propose(idea.changes, observation, f"{idea.text} (from {idea.source})", idea.id)
        return None

    def _propose(
        self, changes: Config, observation: Observation, hypothesis: str | None = None, idea: str | None = None
    ) -> Propose:
        predicted = self.predicted(changes, observation)
        return Propose(
            changes=changes,
            hypothesis=hypothesis or self._hypothesis(changes, observation, predicted),
            predicted_delta=predicted,
            screen_fraction=self.policy.real("screen_fraction"),
            screen_margin=self.policy.real("screen_margin"),
            screen_keep=self.policy.real("screen_keep"),
            idea=idea,
        )

    def _hypothesis(self, changes: Config, observation: Observation, predicted: float | None) -> str:
        head = observation.head.config
        moved = {n: v for n, v in changes.items() if v != head.get(n, self.defaults[n])}
        if len(moved) > MOST_SPELLED_OUT:
            return f"a whole configuration by {self.policy.word('strategy')}: {len(moved)} knobs differ from the head"
        line = describe(self.space, head, moved)
        if predicted is None:
            return f"{line}: not tried before"
        return f"{line}: from what such moves brought, {predicted:+.4f} bpb is expected"


class RandomProposer(Proposer):
    """Draws every knob in focus anew: what is trained does not depend on trunk. It believes nothing, and so predicts
    nothing; what was trained it remembers, so as not to draw it again."""

    def remember(self, news: Sequence[Outcome]) -> None:
        """What was trained, and nothing of what it brought."""
        for outcome in news:
            self.history.note(outcome)

    def predicted(self, _changes: Config, _observation: Observation) -> float | None:
        """Nothing is believed."""
        return None

    def draw(self, observation: Observation, rng: random.Random) -> Config | None:
        return {knob.name: knob.sample(rng) for knob in self.knobs(observation)}


@dataclass(frozen=True)
class Probe:
    """One thing to try with a knob: a value, or a factor (log scale) or share (linear scale) up or down."""

    knob: Knob
    value: Value | None = None
    sign: int = 0


class AblationProposer(Proposer):
    """One knob at a time, in order: back to its default, doubled, halved; every other value of a choice.

    On a linear scale a step of ``boldness`` takes the place of doubling; on a log scale ``boldness`` 0.2 doubles
    and other values step in proportion.
    """

    def draw(self, observation: Observation, _rng: random.Random) -> Config | None:
        probes = self._probes(self.knobs(observation))
        for offset in range(len(probes)):
            probe = probes[(observation.index + offset) % len(probes)]
            here = self.value(observation, probe.knob)
            changes = {probe.knob.name: self._value(probe, here, observation)}
            if changes[probe.knob.name] != here and self.is_new(changes, observation):
                return changes
        return None

    def _probes(self, knobs: Sequence[Knob]) -> list[Probe]:
        found: list[Probe] = []
        for knob in knobs:
            if knob.numeric:
                found += [Probe(knob, knob.default), Probe(knob, sign=1), Probe(knob, sign=-1)]
            else:
                found += [Probe(knob, choice) for choice in knob.choices]
        return found

    def _value(self, probe: Probe, here: Value, observation: Observation) -> Value:
        if probe.value is not None:
            return probe.value
        length = self.policy.real("boldness") * observation.steering.boldness_factor
        knob = probe.knob
        if not knob.log:
            return stepped(knob, here, probe.sign * length)
        factor: float = 2.0 ** (probe.sign * length / 0.2)
        bounded = min(float(knob.high or 0.0), max(float(knob.low or 0.0), float(here) * factor))
        return stepped(knob, here, knob.to_unit(bounded) - knob.to_unit(here))


class IdeaTaker(Proposer):
    """Takes the research queue's ideas, and passes when none is left."""

    def decide(self, observation: Observation) -> Propose | Pass:
        self.recall(observation.lessons)
        for trial in self.history.fold(observation.news):
            self.beliefs.learn(trial)
        return (
            self.take_proven(observation)
            or self.take_idea(observation)
            or Pass("no untried idea with changes is in the research queue")
        )
