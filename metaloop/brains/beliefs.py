"""What the knobs are believed to do: a small Bayesian model per knob, and a step drawn from it.

A numeric knob has a parabola over its own scale, ``g(v) = a·v + b·v²`` with ``v`` the distance from the default in
units of the range; a choice has one level per value. A change is expected to bring the sum of its knobs' differences.
Every outcome updates the knobs that it changed by one Kalman step in which knobs are taken as independent, so that
one outcome of several changes shares its surprise among them in proportion to how uncertain each is. Proposals are
Thompson samples (1933): draw the model, then take the step that the draw likes best.

Interactions are left out on purpose: steps are small against them, and old beliefs fade (``DRIFT``) as trunk moves.
Constants are bpb for a target whose changes usually move it by ``USUAL``, and scale with what others do move;
tuned on ``tests/brains/objective.py``, where half or twice a prior gains as much
within the noise of 30 landscapes (±0.017 bpb).
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from metaloop.brains.history import Trial
from metaloop.vocabulary.seeds import normal
from metaloop.vocabulary.space import Knob, Space, Value

SLOPE_SD = 0.15
CURVE_MEAN, CURVE_SD = 0.15, 0.15
"""Prior of ``a`` and ``b`` in bpb per range and per range squared."""
LEVEL_SD = 0.03
"""Prior of a choice's level (bpb)."""
NOISE_SD = 0.006
MISFIT = 0.3
"""Noise of an outcome (bpb), and the share of its size that such simple models cannot explain."""
FAILED = 0.1
"""Stands for the delta of a training without a score, and bounds those with one (bpb): how bad a disaster was
says nothing about the slope here."""
USUAL = 0.015
"""Median size of a delta on the target that the constants are meant for (bpb)."""
SIZES_NEEDED = 5
SMALLEST_SCALE = 0.125
DRIFT = 0.01
"""Share of the prior variance that returns with every outcome of the knob."""


@dataclass(slots=True)
class Curve:
    """Mean and covariance of (a, b) of one numeric knob, with its Cholesky factor for fast draws."""

    origin: float
    a: float = 0.0
    b: float = CURVE_MEAN
    paa: float = SLOPE_SD**2
    pab: float = 0.0
    pbb: float = CURVE_SD**2
    count: int = 0
    laa: float = SLOPE_SD
    lab: float = 0.0
    lbb: float = CURVE_SD

    def refactor(self) -> None:
        self.laa = math.sqrt(max(1e-12, self.paa))
        self.lab = self.pab / self.laa
        self.lbb = math.sqrt(max(1e-12, self.pbb - self.lab * self.lab))


@dataclass(slots=True)
class Levels:
    """Mean and variance of each value's level of one choice."""

    mean: dict[Value, float]
    variance: dict[Value, float]
    tried: set[Value] = field(default_factory=set)


class Median:
    """The upper median of a growing collection: two heaps, so that a long past makes no addition slower."""

    def __init__(self) -> None:
        self._below: list[float] = []
        self._above: list[float] = []

    def __len__(self) -> int:
        return len(self._below) + len(self._above)

    def add(self, value: float) -> None:
        """Take in a value; the upper heap holds half of all, the odd one included."""
        if self._above and value < self._above[0]:
            heapq.heappush(self._below, -value)
        else:
            heapq.heappush(self._above, value)
        if len(self._below) > len(self._above):
            heapq.heappush(self._above, -heapq.heappop(self._below))
        elif len(self._above) > len(self._below) + 1:
            heapq.heappush(self._below, -heapq.heappop(self._above))

    def value(self) -> float:
        """The element at half the length, were all sorted."""
        return self._above[0]


class Beliefs:
    """The models of all knobs of a space, in units of ``scale``.

    ``scale`` follows the size of the outcomes, in steps of two, for a target may move by tenths or by hundredths of
    a bpb; when it steps, everything is learned again.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._trials: list[Trial] = []
        self._sizes = Median()
        self.scale = 1.0
        self.curves: dict[str, Curve] = {}
        self.levels: dict[str, Levels] = {}
        self._forget()

    def learn(self, trial: Trial) -> None:
        """Take in one outcome. Of a training that was screened out only the controller knows how bad it was."""
        if trial.delta is None and (trial.outcome.bpb is not None or trial.outcome.state == "stopped"):
            return
        self._trials.append(trial)
        if trial.delta is not None and self._rescaled(abs(trial.delta)):
            self._forget()
            for each in self._trials:
                self._take(each)
        else:
            self._take(trial)

    def _forget(self) -> None:
        self.curves = {k.name: Curve(k.to_unit(k.default)) for k in self._space if k.numeric}
        self.levels = {
            k.name: Levels(dict.fromkeys(k.choices, 0.0), dict.fromkeys(k.choices, LEVEL_SD**2))
            for k in self._space
            if not k.numeric
        }

    def _rescaled(self, size: float) -> bool:
        """Note the size of a delta (bpb); whether ``scale`` had to follow."""
        self._sizes.add(size)
        if len(self._sizes) < SIZES_NEEDED:
            return False
        wanted = max(SMALLEST_SCALE, self._sizes.value() / USUAL)
        if self.scale / 2 <= wanted <= self.scale * 2:
            return False
        self.scale = 2.0 ** round(math.log2(wanted))
        return True

    def _take(self, trial: Trial) -> None:
        raw = math.inf if trial.delta is None else trial.delta / self.scale
        delta = max(-2 * FAILED, min(FAILED, raw))
        base, space = trial.base or {}, self._space
        moved = [(n, base.get(n, space[n].default), v) for n, v in trial.outcome.changes.items()]
        moved = [each for each in moved if each[1] != each[2]]
        inputs = {name: self._inputs(name, old, new) for name, old, new in moved if name in self.curves}
        priors = [self._parabola(n, inputs[n]) if n in inputs else self._step(n, old, new) for n, old, new in moved]
        surprise = delta - sum([mean for mean, _ in priors])
        total = sum([variance for _, variance in priors]) + NOISE_SD**2 + (MISFIT * delta) ** 2
        for name, old, new in moved:
            if name in inputs:
                self._bend(name, inputs[name], surprise, total)
            else:
                self._shift(self.levels[name], (old, new), surprise, total)

    def _bend(self, name: str, inputs: tuple[float, float], surprise: float, total: float) -> None:
        """One Kalman step of a parabola; ``total`` is the variance of the surprise."""
        curve, (x, y) = self.curves[name], inputs
        ga = curve.paa * x + curve.pab * y
        gb = curve.pab * x + curve.pbb * y
        curve.a += ga * surprise / total
        curve.b += gb * surprise / total
        curve.paa += DRIFT * SLOPE_SD**2 - ga * ga / total
        curve.pab -= ga * gb / total
        curve.pbb += DRIFT * CURVE_SD**2 - gb * gb / total
        curve.count += 1
        curve.refactor()

    def _shift(self, level: Levels, move: tuple[Value, Value], surprise: float, total: float) -> None:
        """One Kalman step of two levels, of which the difference was seen."""
        for value, sign in zip(move, (-1.0, 1.0), strict=True):
            gain = level.variance[value] / total
            level.mean[value] += sign * gain * surprise
            level.variance[value] *= 1 - gain
            level.variance[value] += DRIFT * LEVEL_SD**2
            level.tried.add(value)

    def effect(self, name: str, old: Value, new: Value) -> tuple[float, float]:
        """Expected difference of one knob's move, and its variance (in units of ``scale`` and its square)."""
        if name in self.levels:
            return self._step(name, old, new)
        return self._parabola(name, self._inputs(name, old, new))

    def _step(self, name: str, old: Value, new: Value) -> tuple[float, float]:
        level = self.levels[name]
        return level.mean[new] - level.mean[old], level.variance[new] + level.variance[old]

    def _parabola(self, name: str, inputs: tuple[float, float]) -> tuple[float, float]:
        curve, (x, y) = self.curves[name], inputs
        mean = curve.a * x + curve.b * y
        return mean, curve.paa * x * x + 2 * curve.pab * x * y + curve.pbb * y * y

    def _inputs(self, name: str, old: Value, new: Value) -> tuple[float, float]:
        """What multiplies ``a`` and ``b``: Δv and Δv²."""
        knob, origin = self._space[name], self.curves[name].origin
        before, after = knob.to_unit(old) - origin, knob.to_unit(new) - origin
        return after - before, after * after - before * before

    def predicted(self, head: Mapping[str, Value], changes: Mapping[str, Value]) -> float | None:
        """Expected delta of the changes (bpb); ``None`` where none of their knobs was ever tried."""
        total, known = 0.0, False
        for name, new in changes.items():
            old = head.get(name, self._space[name].default)
            if old == new:
                continue
            known = known or self._tried(name, new)
            total += self.effect(name, old, new)[0]
        return total * self.scale if known else None

    def _tried(self, name: str, value: Value) -> bool:
        return value in self.levels[name].tried if name in self.levels else self.curves[name].count > 0

    def draw_step(self, name: str, here: float, sizes: tuple[float, float], rng: random.Random) -> tuple[float, float]:
        """The step that one draw of the knob's parabola likes best, between ``sizes`` long, and what it would bring.

        ``here`` is the head's position on the knob's own scale.
        """
        curve, one = self.curves[name], normal(rng)
        a = curve.a + curve.laa * one
        b = curve.b + curve.lab * one + curve.lbb * normal(rng)
        slope = a + 2 * b * (here - curve.origin)
        low, length = sizes
        if b > 0:
            length = min(length, max(low, abs(slope) / (2 * b)))
        step = -length if slope > 0 else length
        if not -1e-9 <= here + step <= 1 + 1e-9:
            step = (1.0 if step > 0 else 0.0) - here
        return step, slope * step + b * step * step

    def draw_level(self, knob: Knob, value: Value, rng: random.Random) -> tuple[Value, float]:
        """The other value that one draw of the choice's levels likes best, and what it would bring."""
        level = self.levels[knob.name]
        here = level.mean[value]
        drawn = [
            (level.mean[c] - here + math.sqrt(level.variance[c]) * normal(rng), c) for c in knob.choices if c != value
        ]
        gain, best = min(drawn, key=itemgetter(0))
        return best, gain
