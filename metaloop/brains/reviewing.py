"""Scripted reviewers: votes with concrete reasons."""

from __future__ import annotations

from collections.abc import Iterable

from metaloop.brains.brain import Policy, fingerprint
from metaloop.brains.history import History, Trial
from metaloop.brains.moves import Move, cosine, distance, moves_between, step_vector
from metaloop.vocabulary.decisions import Observation, Review
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config, Proposal
from metaloop.vocabulary.space import Space

NEIGHBOURS = 5
"""Outcomes that a prediction averages over, at most."""
ALIKE = 0.5
"""Least cosine between two changes of which one says something about the other."""


class Reviewer:
    """Checks a proposal against its policy; the first objection is the reason."""

    def __init__(self, member: Member, space: Space) -> None:
        self._policy = Policy(member)
        self._space = space
        self._defaults = space.defaults()
        self._history = History(space)
        self._vectors: list[dict[Move, float]] = []
        """The change of every trial, worked out once."""

    def decide(self, observation: Observation) -> Review:
        self._history.recall(observation.lessons)
        self._history.fold(observation.news)
        proposal = observation.proposal
        assert proposal is not None
        head = observation.head.config
        moves = moves_between(self._space, head, proposal.changes)
        objection = (
            self._too_many(len(moves))
            or (None if proposal.edits else self._was_discarded(moves, head))
            or self._too_close(observation)
            or self._too_little(proposal, head)
        )
        return Review(objection is None, objection or "nothing speaks against it")

    def _recent(self) -> list[Trial]:
        return self._history.recent(self._policy.whole("memory"))

    def _recent_vectors(self) -> list[dict[Move, float]]:
        for trial in self._history.trials[len(self._vectors) :]:
            self._vectors.append(step_vector(self._space, trial.base or {}, trial.outcome.changes))
        memory = self._policy.whole("memory")
        return self._vectors[-memory:] if memory else []

    def _too_many(self, count: int) -> str | None:
        most = self._policy.whole("max_changes")
        return f"changes {count} knobs at once, at most {most} are allowed" if count > most else None

    def _was_discarded(self, moves: Iterable[Move], head: Config) -> str | None:
        """Whether every move of the change was tried alone from this head, and lost or failed."""
        if not self._policy.flag("refuse_discarded"):
            return None
        lost = {
            next(iter(trial.moves)): trial
            for trial in self._history.tried_from(fingerprint(head), self._policy.whole("memory"))
            if len(trial.moves) == 1 and (trial.delta is None or trial.delta >= 0)
        }
        asked = sorted(moves, key=str)
        if not asked or any(move not in lost for move in asked):
            return None
        name, direction = asked[0]
        trial = lost[asked[0]]
        brought = trial.outcome.state if trial.delta is None else f"{trial.delta:+.4f} bpb"
        return f"{name} {direction} was tried from this head in {trial.outcome.experiment}: {brought}"

    def _too_close(self, observation: Observation) -> str | None:
        least = self._policy.real("novelty")
        config = observation.proposal_config
        if least <= 0 or config is None:
            return None
        tried = [(trial.outcome.experiment, trial.outcome.config) for trial in self._recent()]
        waiting = [("what is on its way", other) for other in observation.pending if other != config]
        for name, other in [("the head", observation.head.config), *tried, *waiting]:
            far = distance(self._space, config, other, least)
            if far < least:
                return f"differs from {name} by {far:.3f} of a range, at least {least:g} is asked"
        return None

    def _too_little(self, proposal: Proposal, head: Config) -> str | None:
        least = self._policy.real("min_predicted_gain")
        if least <= 0:
            return None
        author = self._policy.word("predictor") == "author"
        predicted = proposal.predicted_delta if author else self._neighbours(proposal.changes, head)
        if predicted is None or -predicted >= least:
            return None
        who = "its author" if author else "what similar changes brought"
        return f"{who} predicts a gain of {-predicted:.4f} bpb, at least {least:g} is asked"

    def _neighbours(self, changes: Config, head: Config) -> float | None:
        """Mean delta of the outcomes whose change points the same way, weighted by cosine; ``None`` without any."""
        asked = step_vector(self._space, head, changes)
        near: list[tuple[float, float]] = []
        for trial, vector in zip(self._recent(), self._recent_vectors(), strict=True):
            if trial.delta is not None:
                alike = cosine(asked, vector)
                if alike >= ALIKE:
                    near.append((alike, trial.delta))
        near = sorted(near, reverse=True)[:NEIGHBOURS]
        return sum(w * d for w, d in near) / sum(w for w, _ in near) if near else None
