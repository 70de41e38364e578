"""SMAC3's facades through their own ask and tell."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ConfigSpace import Categorical, Configuration, ConfigurationSpace, Float, Integer
from smac import HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario
from smac.facade.abstract_facade import AbstractFacade
from smac.model.random_forest.random_forest import RandomForest
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from bench.peers.protocol import FAILED_BPB, FULL, Resume, Start, Verdict
from metaloop.vocabulary.space import Knob, Space

RETRAIN_AFTER = 1
"""SMAC's default of 8 saves its own time; trainings are what is dear here."""


class SmacPeer:
    """A facade. With budgets, a training is paused where SMAC's budget ends, and goes on when SMAC raises it."""

    def __init__(self, space: Space, facade: AbstractFacade) -> None:
        self._space, self._facade = space, facade
        self._running: dict[str, TrialInfo] = {}
        self._names: dict[Configuration, str] = {}

    def next(self) -> Start | Resume | None:
        try:
            info = self._facade.ask()
        except StopIteration:
            return None
        known = info.config in self._names
        name = self._names.setdefault(info.config, str(len(self._names)))
        self._running[name] = info
        return Resume(name) if known else Start(name, self._config(info.config))

    def report(self, trial: str, resource: int, bpb: float) -> Verdict:
        budget = self._running[trial].budget
        if budget is None or resource < budget:
            return Verdict.GO
        self._tell(trial, bpb)
        return Verdict.PAUSE

    def end(self, trial: str, bpb: float | None) -> None:
        self._tell(trial, FAILED_BPB if bpb is None else bpb)

    def _tell(self, trial: str, bpb: float) -> None:
        self._facade.tell(self._running.pop(trial), TrialValue(cost=bpb), save=False)

    def _config(self, config: Configuration) -> dict[str, Any]:
        return {knob.name: _value(knob, config[knob.name]) for knob in self._space}


def _hyperparameter(knob: Knob) -> Any:
    if not knob.numeric:
        choices = [str(choice) for choice in knob.choices]
        return Categorical(knob.name, choices, default=str(knob.default))
    low, high = knob.low or 0.0, knob.high or 0.0
    if knob.kind == "int":
        return Integer(knob.name, (int(low), int(high)), default=int(knob.default), log=knob.log)
    return Float(knob.name, (float(low), float(high)), default=float(knob.default), log=knob.log)


def _value(knob: Knob, value: Any) -> Any:
    if not knob.numeric:
        return next(choice for choice in knob.choices if str(choice) == str(value))
    clipped = min(float(knob.high or 0.0), max(float(knob.low or 0.0), float(value)))
    return round(clipped) if knob.kind == "int" else clipped


def _forest(scenario: Scenario) -> RandomForest:
    """The model of SMAC's facades for hyperparameters, in one thread: by default it starts one for each core, anew for
    every prediction, beside the trainings."""
    return RandomForest(
        configspace=scenario.configspace,
        instance_features=scenario.instance_features,
        seed=scenario.seed,
        log_y=True,
        n_trees=10,
        bootstrapping=True,
        ratio_features=1.0,
        min_samples_split=2,
        min_samples_leaf=1,
        max_depth=2**20,
        n_jobs=1,
    )


def _make(
    kind: type[HyperparameterOptimizationFacade], space: Space, seed: int, trainings: int, **terms: Any
) -> SmacPeer:
    """A facade with the baseline in its initial design, which takes at most a quarter of ``trainings``."""
    scenario = Scenario(
        ConfigurationSpace(space=[_hyperparameter(knob) for knob in space]),
        name=f"peer-{seed}",
        output_directory=Path(tempfile.mkdtemp(prefix="smac-")),
        deterministic=True,
        n_trials=trainings,
        seed=seed % 2**31,
        **terms,
    )
    extra = {"intensifier": kind.get_intensifier(scenario, eta=2)} if issubclass(kind, MultiFidelityFacade) else {}
    default = scenario.configspace.get_default_configuration()
    facade = kind(
        scenario,
        model=_forest(scenario),
        initial_design=kind.get_initial_design(scenario, additional_configs=[default]),
        config_selector=kind.get_config_selector(scenario, retrain_after=RETRAIN_AFTER),
        logging_level=False,
        overwrite=True,
        **extra,
    )
    return SmacPeer(space, facade)


def hpo(space: Space, seed: int, trainings: int) -> SmacPeer:
    """Bayesian optimization with a random forest: SMAC's facade for hyperparameters."""
    return _make(HyperparameterOptimizationFacade, space, seed, trainings)


def multi_fidelity(space: Space, seed: int, trainings: int) -> SmacPeer:
    """The same under Hyperband; budgets of 1, 2, 4 and 8 eighths (reduction factor 2)."""
    return _make(MultiFidelityFacade, space, seed, 2 * trainings, min_budget=1, max_budget=FULL)
