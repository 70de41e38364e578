"""Typed knobs as Optuna's distributions, for whoever searches them: TPE proposers, and the meta-loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaloop.vocabulary.space import Knob

if TYPE_CHECKING:
    import optuna


def distribution(knob: Knob) -> optuna.distributions.BaseDistribution:
    """The knob's range, scale and choices as Optuna knows them."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not knob.numeric:
        return CategoricalDistribution(knob.choices)
    low, high = float(knob.low or 0.0), float(knob.high or 0.0)
    if knob.kind == "int":
        return IntDistribution(int(low), int(high), log=knob.log)
    return FloatDistribution(low, high, log=knob.log)
