"""Optuna's TPE as a proposer: whole configurations, learned from every result the member may see.

Source: Watanabe, "Tree-structured Parzen estimator", arXiv:2304.11127; Optuna's multivariate TPESampler.
"""

from __future__ import annotations

import random
import warnings
from typing import TYPE_CHECKING

from metaloop.brains.brain import Fingerprint, fingerprint
from metaloop.brains.optuna_space import distribution
from metaloop.brains.proposing import Proposer
from metaloop.vocabulary.decisions import Observation, Pass, Propose
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config
from metaloop.vocabulary.space import Knob, Space, Value

if TYPE_CHECKING:
    import optuna


class TpeProposer(Proposer):
    """Each decision asks a fresh study that holds everything told so far, so that it depends on nothing else.

    Trainings without a score count as pruned, which TPE ranks behind all that have one: it must learn where
    configurations diverge. Configurations on their way count as running (constant liar), so that parallel
    devices do not get the same advice.
    """

    def __init__(self, member: Member, space: Space, seed: int) -> None:
        super().__init__(member, space, seed)
        self._done: list[optuna.trial.FrozenTrial] = []
        self._told: set[Fingerprint] = set()

    def decide(self, observation: Observation) -> Propose | Pass:
        for outcome in observation.news:
            self._tell(outcome.config, outcome.bpb)
        return super().decide(observation)

    def _tell(self, config: Config, bpb: float | None) -> None:
        """A configuration counts once, with its first score: repeats would crowd the model with the same point."""
        key = fingerprint(config)
        if key not in self._told:
            self._told.add(key)
            self._done.append(self._trial(config, bpb))

    def draw(self, observation: Observation, rng: random.Random) -> Config | None:
        import optuna

        knobs = self.knobs(observation)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=rng.randrange(2**32),
                multivariate=True,
                constant_liar=True,
                n_startup_trials=self.policy.whole("startup_trials"),
            )
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=sampler)
        running = [self._trial(config, None, running=True) for config in observation.pending]
        study.add_trials([*self._head(observation), *self._done, *running])
        trial = study.ask({knob.name: distribution(knob) for knob in knobs})
        return {knob.name: _rounded(knob, trial.params[knob.name]) for knob in knobs}

    def _head(self, observation: Observation) -> list[optuna.trial.FrozenTrial]:
        """The head, where its training was someone else's secret."""
        known = fingerprint(observation.head.config) in self._told
        score = observation.head.scores.get(0)
        return [] if known or score is None else [self._trial(observation.head.config, score)]

    def _trial(self, config: Config, bpb: float | None, *, running: bool = False) -> optuna.trial.FrozenTrial:
        import optuna

        states = optuna.trial.TrialState
        state = states.RUNNING if running else states.PRUNED if bpb is None else states.COMPLETE
        return optuna.trial.create_trial(
            state=state,
            params={knob.name: config.get(knob.name, knob.default) for knob in self.space},
            distributions={knob.name: distribution(knob) for knob in self.space},
            value=bpb if state == states.COMPLETE else None,
        )


def _rounded(knob: Knob, value: Value) -> Value:
    return knob.from_unit(knob.to_unit(value)) if knob.kind == "float" else value
