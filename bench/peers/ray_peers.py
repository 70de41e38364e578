"""Ray Tune's search algorithms and schedulers, with the part of the Tune controller that they call.

Search algorithms, schedulers and trials are Ray's own objects. What stands in for the controller follows
``ray/tune/execution/tune_controller.py`` (``_process_trial_result``, ``stop_trial``) line for line, without actors and
checkpoints: a Tune run needs a cluster and real time. One thing is kinder than Tune: a configuration is asked for when
a device is free, not ahead of it.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.schedulers.hb_bohb import HyperBandForBOHB
from ray.tune.search import SearchAlgorithm, SearchGenerator
from ray.tune.search.basic_variant import BasicVariantGenerator

from bench.peers.protocol import FAILED_BPB, FULL, Resume, Start, Verdict
from metaloop.vocabulary.space import Knob, Space

METRIC, TIME = "bpb", "training_iteration"
MANY = 100_000
"""Samples asked for: more than any budget pays for."""
VERDICTS = {
    TrialScheduler.CONTINUE: Verdict.GO,
    TrialScheduler.PAUSE: Verdict.PAUSE,
    TrialScheduler.STOP: Verdict.STOP,
}


class RayPeer:
    """A search algorithm and a scheduler; schedulers see this object as their ``TuneController``."""

    def __init__(self, space: Space, search: SearchAlgorithm, scheduler: TrialScheduler) -> None:
        self.search_alg, self._scheduler = search, scheduler
        self._space = space
        self._trials: dict[str, Trial] = {}
        domains = {knob.name: _domain(knob) for knob in space}
        if isinstance(search, SearchGenerator):
            search.set_search_properties(METRIC, "min", domains)
        spec = {"run": _nothing, "config": domains, "num_samples": MANY, "storage_path": tempfile.gettempdir()}
        search.add_configurations({"peer": spec})

    def get_trials(self) -> list[Trial]:
        """Part of the controller that schedulers look at."""
        return list(self._trials.values())

    def stop_trial(self, trial: Trial) -> None:
        """Part of the controller that schedulers call: the trial is over."""
        if trial.status in (Trial.PENDING, Trial.PAUSED):
            self._scheduler.on_trial_remove(self, trial)
            self.search_alg.on_trial_complete(trial.trial_id)
        elif trial.status == Trial.RUNNING:
            self._scheduler.on_trial_complete(self, trial, dict(trial.last_result))
            self.search_alg.on_trial_complete(trial.trial_id, result=dict(trial.last_result))
        trial.set_status(Trial.TERMINATED)

    def next(self) -> Start | Resume | None:
        trial = self._scheduler.choose_trial_to_run(self)
        if trial is None:
            trial = self.search_alg.next_trial()
            if trial is None:
                return None
            self._trials[trial.trial_id] = trial
            self._scheduler.on_trial_add(self, trial)
        paused = trial.status == Trial.PAUSED
        trial.set_status(Trial.RUNNING)
        return Resume(trial.trial_id) if paused else Start(trial.trial_id, self._config(trial))

    def report(self, trial: str, resource: int, bpb: float) -> Verdict:
        return VERDICTS[self._process(self._trials[trial], resource, bpb)]

    def end(self, trial: str, bpb: float | None) -> None:
        """The last result; a failure is told as a bad score at full length, so that it is never resumed."""
        ended = self._trials[trial]
        if self._process(ended, FULL, FAILED_BPB if bpb is None else bpb) == TrialScheduler.CONTINUE:
            self.stop_trial(ended)

    def _process(self, trial: Trial, resource: int, bpb: float) -> str:
        result: dict[str, Any] = {TIME: resource, METRIC: bpb, "trial_id": trial.trial_id}
        decision: str = self._scheduler.on_trial_result(self, trial, result)
        if decision != TrialScheduler.STOP:
            self.search_alg.on_trial_result(trial.trial_id, result)
        trial.update_last_result(result)
        if decision == TrialScheduler.STOP:
            self.stop_trial(trial)
        elif decision == TrialScheduler.PAUSE:
            trial.set_status(Trial.PAUSED)
        return decision

    def _config(self, trial: Trial) -> dict[str, Any]:
        return {knob.name: _value(knob, trial.config[knob.name]) for knob in self._space}


def _nothing(config: dict[str, Any]) -> None:
    """The trainable that Tune wants to know of; trainings are the driver's."""


def _domain(knob: Knob) -> Any:
    if not knob.numeric:
        return tune.choice([str(choice) for choice in knob.choices])
    low, high = knob.low or 0.0, knob.high or 0.0
    if knob.kind == "int":
        return (tune.lograndint if knob.log else tune.randint)(int(low), int(high) + 1)
    return (tune.loguniform if knob.log else tune.uniform)(low, high)


def _value(knob: Knob, value: Any) -> Any:
    """The knob's value from Ray's (NumPy scalars, choices by their names, bounds missed in the last digit)."""
    if not knob.numeric:
        return next(choice for choice in knob.choices if str(choice) == str(value))
    clipped = min(float(knob.high or 0.0), max(float(knob.low or 0.0), float(value)))
    return round(clipped) if knob.kind == "int" else clipped


def _baseline(space: Space) -> list[dict[str, Any]]:
    return [{knob.name: knob.default if knob.numeric else str(knob.default) for knob in space}]


def _asha() -> AsyncHyperBandScheduler:
    """Ray's ASHA from an eighth of the budget on (reduction factor 4, the default)."""
    return AsyncHyperBandScheduler(TIME, METRIC, "min", max_t=FULL, grace_period=1)


def asha(space: Space, seed: int) -> RayPeer:
    """Random draws, stopped early."""
    search = BasicVariantGenerator(points_to_evaluate=_baseline(space), random_state=seed)
    return RayPeer(space, search, _asha())


def optuna_asha(space: Space, seed: int) -> RayPeer:
    """Optuna's TPE under Ray's ASHA."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    searcher = OptunaSearch(metric=METRIC, mode="min", points_to_evaluate=_baseline(space), seed=seed)
    return RayPeer(space, SearchGenerator(searcher), _asha())


def bohb(space: Space, seed: int) -> RayPeer:
    """BOHB. Its rungs are synchronous, so they must lie on the curve's points: reduction factor 2."""
    from ray.tune.search.bohb import TuneBOHB

    warnings.filterwarnings("ignore", module=r"statsmodels|pandas")
    logging.getLogger("ray.tune.search.bohb").setLevel(logging.ERROR)
    searcher = TuneBOHB(metric=METRIC, mode="min", points_to_evaluate=_baseline(space), seed=seed)
    scheduler = HyperBandForBOHB(TIME, METRIC, "min", max_t=FULL, reduction_factor=2)
    return RayPeer(space, SearchGenerator(searcher), scheduler)
