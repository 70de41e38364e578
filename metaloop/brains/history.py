"""What a brain remembers: a fold over the outcomes it was told, and nothing else.

Each outcome costs a bounded amount of work when it arrives; every question afterwards is a look-up. An outcome
does not say which configuration it started from, so that is inferred: the base is the baseline or a configuration
trained before that agrees with the outcome everywhere except in the knobs that were changed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from metaloop.brains.brain import Fingerprint, fingerprint
from metaloop.brains.moves import Moves, moves_between
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.records import TRUNK, Config, Outcome, effective
from metaloop.vocabulary.space import Space

BASES_KEPT = 8
SCORED_KEPT = 64
"""How many recent bases, and recently scored configurations, are tried as the base of a new outcome."""


class Trial(NamedTuple):
    """A first training of a proposal, with its inferred ``base`` (``None``: unknown) and the moves it made.

    ``delta`` is bpb against the base where both were scored on this seed, else against the head of its time;
    ``None`` where the training has no score.
    """

    outcome: Outcome
    base: Config | None
    moves: Moves
    delta: float | None


class Base(NamedTuple):
    """A configuration that outcomes may have started from, with its fingerprint, which is dear to make."""

    config: Config
    key: Fingerprint


class History:
    """The fold. ``trials`` holds first trainings of proposals in order of arrival."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._defaults = space.defaults()
        self._bases: deque[Base] = deque([Base({}, fingerprint({}))], maxlen=BASES_KEPT)
        self._scored: deque[Base] = deque(maxlen=SCORED_KEPT)
        self._from: dict[Fingerprint, list[int]] = {}
        self.trials: list[Trial] = []
        self.scores: dict[Fingerprint, dict[int, float]] = {}
        """bpb by configuration and repeat."""
        self.failed: dict[Fingerprint, set[int]] = {}
        """Repeats without a score, by configuration."""
        self.made: dict[Fingerprint, Trial] = {}
        """The trial that a configuration came from."""
        self.trial_of: dict[str, int] = {}
        """Index among ``trials`` by proposal."""
        self.ideas: set[Fingerprint] = set()
        """Change sets that were tried on any head."""
        self._recalled: set[Fingerprint] = set()

    def fold(self, news: Iterable[Outcome]) -> list[Trial]:
        """Take in the news; the first trainings of proposals among them, in order."""
        return [trial for trial in map(self._take, news) if trial is not None]

    def recall(self, lessons: Iterable[Lesson]) -> list[Trial]:
        """Take in the dead ends of earlier org runs as trials of their own heads, and return them; their scores are of
        other seeds and stay out. What was merged there is not a trial here: it is to be tried."""
        trials: list[Trial] = []
        for lesson in lessons:
            if lesson.kind == "dead end":
                config = effective(lesson.base, lesson.changes, self._defaults)
                moves = moves_between(self._space, lesson.base, lesson.changes)
                trial = Trial(_as_outcome(lesson, config), lesson.base, moves, lesson.delta)
                self._recalled.add(fingerprint(config))
                self.ideas.add(fingerprint(lesson.changes))
                self._from.setdefault(fingerprint(lesson.base), []).append(len(self.trials))
                self.trials.append(trial)
                trials.append(trial)
        return trials

    def note(self, outcome: Outcome) -> None:
        """Take in that something was trained, not what came of it: enough for :meth:`knows` and for ``ideas``."""
        key = fingerprint(outcome.config)
        if outcome.bpb is None:
            self.failed.setdefault(key, set()).add(outcome.repeat)
        else:
            self.scores.setdefault(key, {})[outcome.repeat] = outcome.bpb
        if outcome.changes:
            self.ideas.add(fingerprint(outcome.changes))

    def _take(self, outcome: Outcome) -> Trial | None:
        key = fingerprint(outcome.config)
        first = outcome.repeat == 0 and key not in self.made
        base = self._base_of(outcome) if outcome.changes and first else None
        # What edits of code brought along with knobs tells nothing of the knobs.
        trial = self._trial(outcome, base) if outcome.changes and first and not outcome.edits else None
        if outcome.bpb is None:
            self.failed.setdefault(key, set()).add(outcome.repeat)
        else:
            self.scores.setdefault(key, {})[outcome.repeat] = outcome.bpb
            if outcome.repeat == 0:
                self._scored.append(Base(outcome.config, key))
        if trial is not None:
            self._add(key, trial, base)
        return trial

    def _add(self, key: Fingerprint, trial: Trial, base: Base | None) -> None:
        self.made[key] = trial
        self.ideas.add(fingerprint(trial.outcome.changes))
        if trial.outcome.proposal is not None:
            self.trial_of[trial.outcome.proposal] = len(self.trials)
        if base is not None:
            self._from.setdefault(base.key, []).append(len(self.trials))
        self.trials.append(trial)

    def _trial(self, outcome: Outcome, base: Base | None) -> Trial:
        if base is None:
            return Trial(outcome, None, moves_between(self._space, {}, outcome.changes), outcome.delta)
        before = self.scores.get(base.key, {}).get(outcome.repeat)
        delta = outcome.delta if before is None or outcome.bpb is None else outcome.bpb - before
        return Trial(outcome, base.config, moves_between(self._space, base.config, outcome.changes), delta)

    def _base_of(self, outcome: Outcome) -> Base | None:
        for base in reversed(self._bases):
            if self._fits(base.config, outcome):
                return base
        for base in reversed(self._scored):
            if self._fits(base.config, outcome):
                self._bases.append(base)
                return base
        return None

    def _fits(self, base: Config, outcome: Outcome) -> bool:
        config, changes = outcome.config, outcome.changes
        for name, value in base.items():
            if name not in changes and config.get(name) != value:
                return False
        for name in config:
            if name not in changes and name not in base:
                return False
        return base != config

    def knows(self, config: Config) -> bool:
        """Whether the configuration was trained."""
        key = fingerprint(config)
        return key in self.scores or key in self.failed or key in self._recalled

    def tried_from(self, config: Fingerprint, memory: int) -> list[Trial]:
        """What was tried from this configuration, among the last ``memory`` trials, oldest first."""
        tried = self._from.get(config, [])
        since = bisect_left(tried, len(self.trials) - memory)
        return [self.trials[i] for i in tried[since:]]

    def recent(self, memory: int) -> list[Trial]:
        """The last ``memory`` trials, oldest first."""
        return self.trials[-memory:] if memory else []


def _as_outcome(lesson: Lesson, config: Config) -> Outcome:
    """The training that a lesson tells of. It has a state and no score: that would be of another seed."""
    return Outcome(
        experiment=f"lesson {lesson.id}",
        proposal=None,
        author="",
        team="",
        branch=TRUNK,
        purpose="candidate",
        changes=lesson.changes,
        config=config,
        repeat=0,
        state=lesson.state,
        bpb=None,
        delta=lesson.delta,
    )
