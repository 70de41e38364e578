"""The figures of bench/racing.py, and how they are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from metaloop.meta.racing.power import Need


@dataclass(frozen=True)
class Row:
    """A design on a problem. Shares have 95 % Clopper-Pearson intervals; costs are means over races."""

    problem: str
    challengers: int
    design: str
    races: int
    found: float
    found_ci95: tuple[float, float]
    false: float
    false_ci95: tuple[float, float]
    champion_lost: float
    org_runs: float
    most_org_runs: int
    gpu_hours: float
    blocks: float


@dataclass(frozen=True)
class Level:
    """Share of true hypotheses rejected by the test alone, for one challenger and as one of eight."""

    differences: str
    courses: int
    alone: float
    of_eight: float


@dataclass(frozen=True)
class Blocks:
    """What one comparison needs, beforehand, at power 90 %, without correlation within a block."""

    relative: float
    variation: float
    challengers: int
    need: Need


def blocks_table(rows: Sequence[Blocks]) -> str:
    head = ["better by", "cv", "challengers", "fixed t test: blocks", "race's test: blocks to grant", "used on average"]
    cells = [
        [f"{100 * r.relative:g} %", f"{r.variation:g}", str(r.challengers),
         *map(_blocks, (r.need.fixed, r.need.sequential, r.need.mean))]
        for r in rows
    ]  # fmt: skip
    return markdown(head, cells)


def _blocks(number: float | None) -> str:
    return "over 1,000" if number is None else f"{number:.0f}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(value: float, interval: tuple[float, float]) -> str:
    return f"{100 * value:.1f} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"


def twins_table(rows: Sequence[Row]) -> str:
    head = ["problem", "challengers", "design", "accepts a twin, % [95 % CI]", "champion out, %", "org runs"]
    cells = [
        [r.problem, str(r.challengers), r.design, percent(r.false, r.false_ci95), f"{100 * r.champion_lost:.1f}",
         f"{r.org_runs:.0f}"]
        for r in rows
    ]  # fmt: skip
    return markdown(head, cells)


def power_table(rows: Sequence[Row]) -> str:
    head = ["problem", "design", "finds it, % [95 % CI]", "another, %", "org runs", "at most", "GPU-hours"]
    cells = [
        [r.problem, r.design, percent(r.found, r.found_ci95), f"{100 * r.false:.1f}", f"{r.org_runs:.0f}",
         str(r.most_org_runs), f"{r.gpu_hours:.2f}"]
        for r in rows
    ]  # fmt: skip
    return markdown(head, cells)


def level_table(rows: Sequence[Level]) -> str:
    head = ["differences", "rejected at alpha 5 %, %", "at 5/8 %, %"]
    return markdown(head, [[r.differences, f"{100 * r.alone:.1f}", f"{100 * r.of_eight:.2f}"] for r in rows])
