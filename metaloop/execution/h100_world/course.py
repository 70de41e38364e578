"""The published loop over many worlds, beside the published course."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Protocol

import numpy as np

from metaloop.execution.h100_world.landscape import FITTED, Landscape, Prior
from metaloop.execution.h100_world.published_loop import HABITS, Agent, PublishedLoop, Tried
from metaloop.execution.h100_world.trainer import H100Trainer
from metaloop.vocabulary.seeds import derive

MARKS = (10, 25, 50, 75, 100, 125)
"""Experiments after which incumbents are compared."""
BAND = (0.1, 0.9)
"""Quantiles of the 80 % band."""
SMALL = 0.0005
"""A kept change below this is small (bpb), as in noise.md."""


class Step(Protocol):
    """What published and simulated experiments have in common."""

    @property
    def kind(self) -> str: ...
    @property
    def delta(self) -> float | None: ...
    @property
    def kept(self) -> bool: ...
    @property
    def incumbent(self) -> float: ...


@dataclass(frozen=True)
class Row:
    """One figure: published, and the simulated distribution."""

    name: str
    published: float
    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    @property
    def inside(self) -> bool:
        return self.low <= self.published <= self.high


def course(
    worlds: Iterable[int], experiments: int = MARKS[-1], prior: Prior = FITTED, agent: Agent = HABITS, root: int = 0
) -> list[list[Tried]]:
    """The published loop once on each world, with an agent seed of its own under ``root``."""
    courses = []
    for world in worlds:
        landscape = Landscape(world, prior)
        trainer = H100Trainer(world, landscape)
        loop = PublishedLoop(landscape, trainer, derive(root, "course", world), agent)
        courses.append(loop.run(experiments))
    return courses


def compare(simulated: Sequence[Sequence[Step]], real: Sequence[Step]) -> list[Row]:
    """Every figure of :func:`figures`: the published value, the simulated median and 80 % band."""
    found = [figures(steps) for steps in simulated]
    rows = []
    for name, value in figures(real).items():
        values = np.array([each[name] for each in found])
        middle, low, high = np.nanquantile(values, (0.5, *BAND))
        rows.append(Row(name, value, float(middle), float(low), float(high)))
    return rows


def bands(simulated: Sequence[Sequence[Step]]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Low, median and high incumbent after 0, 1, 2, … experiments; one row for each."""
    incumbents = np.array([incumbents_of(steps) for steps in simulated])
    found: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.quantile(incumbents, (BAND[0], 0.5, BAND[1]), axis=0)
    return found


def incumbents_of(steps: Sequence[Step]) -> list[float]:
    """The incumbent's bpb after 0, 1, 2, … experiments."""
    first = steps[0]
    gained = first.delta if first.kept and first.delta is not None else 0.0
    return [first.incumbent - gained, *(step.incumbent for step in steps)]


def figures(steps: Sequence[Step]) -> dict[str, float]:
    """One course in numbers; NaN where there is nothing to take a median of."""
    found = {f"incumbent after {mark}": steps[mark - 1].incumbent for mark in MARKS if mark <= len(steps)}
    found["keep rate"] = _rate(steps)
    for kind in ("hyperparameter", "architecture", "optimizer"):
        found[f"keep rate, {kind}"] = _rate([step for step in steps if step.kind == kind])
    found["failed"] = sum(step.delta is None for step in steps) / len(steps)
    found["share of the gain in the first 10"] = _gain(steps[:10]) / max(1e-9, _gain(steps))
    found["kept among the first 10"] = sum(step.kept for step in steps[:10])
    kept = [-step.delta for step in steps if step.kept and step.delta is not None]
    found["median kept gain"] = _median(kept)
    found["share of kept below 0.0005"] = fmean(gain < SMALL for gain in kept) if kept else float("nan")
    for kind in ("hyperparameter", "architecture", "optimizer"):
        lost = [s.delta for s in steps if s.kind == kind and not s.kept and s.delta is not None]
        found[f"median discarded delta, {kind}"] = _median(lost)
    return found


def _rate(steps: Sequence[Step]) -> float:
    """Kept over scored experiments."""
    scored = [step.kept for step in steps if step.delta is not None]
    return fmean(scored) if scored else float("nan")


def _gain(steps: Sequence[Step]) -> float:
    return -sum(step.delta for step in steps if step.kept and step.delta is not None)


def _median(values: Sequence[float]) -> float:
    return median(values) if values else float("nan")
