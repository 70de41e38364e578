"""What goes wrong and when, drawn from the seed; nothing is drawn for a fault that cannot happen."""

from __future__ import annotations

import math
import random

from metaloop.execution.simulator.cluster import Faults
from metaloop.vocabulary.records import TrainingResult
from metaloop.vocabulary.seeds import python_stream


class Misfortune:
    """The faults of one org run. Each kind draws from a stream of its own."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self._messages = python_stream(seed, "sim-messages")
        self._roles = python_stream(seed, "sim-roles")
        self._trainings = python_stream(seed, "sim-trainings")
        self._controller = python_stream(seed, "sim-controller")
        self._seed = seed
        self.messages_arrive = not (faults.loss_chance or faults.duplicate_chance)
        """Whether every message arrives once, after its delay: then there is nothing to ask here."""
        self._trainings_end = not (faults.crash_chance or faults.oom_chance)

    def transit(self, now: float, delay: float) -> float:
        """When a message sent now arrives: lost copies are sent again after ``resend_s``."""
        faults = self.faults
        if faults.loss_chance:
            while now < faults.until_s and self._messages.random() < faults.loss_chance:
                now += faults.resend_s
        return now + delay

    def again(self, now: float) -> float | None:
        """For how long after its first arrival a message arrives a second time; ``None``: it does not."""
        if not self._strikes(self._messages, self.faults.duplicate_chance, now):
            return None
        return self._messages.expovariate(1.0 / max(self.faults.resend_s, 1e-3))

    def role_dies(self, now: float) -> bool:
        return self._strikes(self._roles, self.faults.role_death_chance, now)

    def ghost(self, now: float) -> bool:
        return self._strikes(self._trainings, self.faults.ghost_chance, now)

    def spoil(self, result: TrainingResult, now: float) -> TrainingResult:
        """The training's result, or that of its crash or lack of memory part of the way through."""
        if self._trainings_end:
            return result
        for state, chance in (("crash", self.faults.crash_chance), ("oom", self.faults.oom_chance)):
            if self._strikes(self._trainings, chance, now):
                seconds = result.seconds * self._trainings.random()
                return TrainingResult(state, seconds, message="a fault of the simulated cluster")  # type: ignore[arg-type]
        return result

    def device_falls(self, place: int, number: int, now: float) -> tuple[float, float]:
        """When device number ``place`` falls for the ``number``-th time, and for how long; infinite: never again."""
        faults = self.faults
        rate = (faults.deaths_per_hour + faults.preemptions_per_hour) / 3600.0
        if not rate:
            return math.inf, 0.0
        rng = python_stream(self._seed, "sim-falls", place, number)
        at = now + rng.expovariate(rate)
        preempted = rng.random() * rate < faults.preemptions_per_hour / 3600.0
        away = rng.expovariate(1.0 / faults.preempted_s) if preempted and faults.preempted_s else 0.0
        return (at, faults.restart_s + away) if at < faults.until_s else (math.inf, 0.0)

    def controller_dies(self, now: float) -> float:
        """When the controller dies next; infinite: never again."""
        if not self.faults.controller_deaths_per_hour:
            return math.inf
        at = now + self._controller.expovariate(self.faults.controller_deaths_per_hour / 3600.0)
        return at if at < self.faults.until_s else math.inf

    def _strikes(self, rng: random.Random, chance: float, now: float) -> bool:
        return bool(chance) and now < self.faults.until_s and rng.random() < chance
