"""What the plain code needs for a configuration, so that changed code can be held to about as much.

A budget of steps is kept by the code that takes them, and changed code could do more in a step, before the first or
after the last. So the harness counts the processor seconds of the whole process from outside, and allows what the plain
code with the same knobs needs, times :data:`SLACK`, and a constant for start-up.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from metaloop.execution.nanogpt_trainer import sizes
from metaloop.vocabulary.records import canonical
from metaloop.vocabulary.space import Value
from nanogpt.knobs import resolve
from nanogpt.prepare import Corpus
from nanogpt.presets import preset
from nanogpt.results import TrainRequest
from nanogpt.train import fit

SLACK = 1.5
"""Allowed over needed: above the spread of processor seconds of one and the same training (docs/sandbox.md)."""
STARTUP_S = 0.4
"""Processor seconds for the fork, the walls and the imports: five times what was measured."""
PROBE_STEPS = 6
MOST_KNOWN = 512


class Pace:
    """Processor seconds per step of the plain code, measured in this process for each configuration that is asked."""

    def __init__(self, preset_name: str, corpus: Corpus, device: str) -> None:
        self._preset, self._corpus, self._device = preset_name, corpus, device
        self._known: dict[str, float] = {}

    def needs(self, knobs: Mapping[str, Value], budget_fraction: float, afresh: bool = False) -> float:
        """Processor seconds of the plain training (on CUDA, and for a budget of seconds: wall seconds); measured anew
        if ``afresh``. Raises KnobError."""
        budget = preset(self._preset).budget
        if budget.kind == "seconds":
            return budget.amount * budget_fraction
        steps = sizes(dataclasses.asdict(resolve(knobs)), self._preset, self._corpus.vocab).steps
        key = canonical(knobs)
        if afresh or key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._measure(knobs, min(1.0, PROBE_STEPS / steps))
        return self._known[key] * max(1, round(steps * budget_fraction))

    def _measure(self, knobs: Mapping[str, Value], fraction: float) -> float:
        result, _ = fit(TrainRequest(self._preset, knobs, 0, budget_fraction=fraction), self._corpus, self._device)
        spent = result.seconds if self._device == "cuda" else result.cpu_seconds
        return max(0.0, spent - result.startup_seconds) / max(1, result.steps)


def allowance(needed: float) -> float:
    """Seconds that changed code may use where the plain code needs ``needed``."""
    return SLACK * needed + STARTUP_S


def hard_limit(needed: float) -> int:
    """Whole seconds at which the kernel ends it: twice the allowance, for the pace may have been measured in a quieter
    moment; what lies between is judged after a fresh measurement."""
    return math.ceil(2 * allowance(needed))
