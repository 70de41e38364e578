"""Optuna's samplers and pruners through ``study.ask`` and ``study.tell``."""

from __future__ import annotations

import optuna

from bench.peers.protocol import FAILED_BPB, FULL, Start, Verdict
from metaloop.brains.optuna_space import distribution
from metaloop.vocabulary.space import Space


class OptunaPeer:
    """A study. Pruned trials keep their last value, which TPE ranks behind all whole trainings."""

    def __init__(self, space: Space, sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._distributions = {knob.name: distribution(knob) for knob in space}
        self._study = optuna.create_study(sampler=sampler, pruner=pruner, study_name="peer")
        self._study.enqueue_trial(space.defaults())
        self._trials: dict[str, optuna.Trial] = {}

    def next(self) -> Start:
        trial = self._study.ask(self._distributions)
        self._trials[str(trial.number)] = trial
        return Start(str(trial.number), trial.params)

    def report(self, trial: str, resource: int, bpb: float) -> Verdict:
        asked = self._trials[trial]
        asked.report(bpb, resource)
        if not asked.should_prune():
            return Verdict.GO
        self._study.tell(asked, state=optuna.trial.TrialState.PRUNED)
        return Verdict.STOP

    def end(self, trial: str, bpb: float | None) -> None:
        self._study.tell(self._trials[trial], FAILED_BPB if bpb is None else bpb)


def random_search(space: Space, seed: int) -> OptunaPeer:
    """Draws from the whole space."""
    return OptunaPeer(space, optuna.samplers.RandomSampler(seed), optuna.pruners.NopPruner())


def tpe(space: Space, seed: int) -> OptunaPeer:
    """TPE as Optuna ships it."""
    return OptunaPeer(space, optuna.samplers.TPESampler(seed=seed), optuna.pruners.NopPruner())


def tpe_multivariate(space: Space, seed: int) -> OptunaPeer:
    """TPE over all knobs jointly, with a constant liar for what is running: as Optuna advises for parallel runs."""
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    return OptunaPeer(space, sampler, optuna.pruners.NopPruner())


def tpe_asha(space: Space, seed: int) -> OptunaPeer:
    """TPE with asynchronous successive halving from an eighth of the budget on (reduction factor 4, the default)."""
    return OptunaPeer(space, optuna.samplers.TPESampler(seed=seed), optuna.pruners.SuccessiveHalvingPruner(1))


def tpe_hyperband(space: Space, seed: int) -> OptunaPeer:
    """TPE with Hyperband (reduction factor 3, the default)."""
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=FULL)
    return OptunaPeer(space, optuna.samplers.TPESampler(seed=seed), pruner)
