"""Races among twins and with one better organization: whom metaloop's race accepts, and what it costs, beside others.

    python bench/racing.py
    python bench/racing.py --races 200 --json
    python bench/racing.py --record 200      # record the simulated org runs anew (about 3 minutes), nothing else

Four tables. A/A: all organizations are twins, so whoever is accepted is accepted falsely. Power: one of eight
challengers is truly better by --gain. Level: how often the test alone, looked at after every block, rejects a true
hypothesis when its differences are not normal or org runs crash. Blocks: what a comparison needs, said beforehand.
All designs race on the very same score tables.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import permutations
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track
from scipy import stats

from bench.race.designs import (
    Design,
    Outcome,
    flat,
    friedman_elimination,
    irace_elimination,
    our_race,
    standing_terms,
    t_elimination,
)
from bench.race.level import CRASHES, SHAPES, between, share_rejected, share_rejected_with_crashes
from bench.race.org_runs import GPU_HOURS, RECORDED, record, recorded
from bench.race.problems import Bootstrapped, Normal, Problem, Scores, plant, shape
from bench.race.tables import Blocks, Level, Row, blocks_table, level_table, power_table, twins_table
from metaloop.meta.racing.power import Question, need
from metaloop.meta.racing.sequential import EFFECTS
from metaloop.meta.racing.terms import RaceTerms
from metaloop.vocabulary.seeds import numpy_stream

ALPHA = 0.05
CHALLENGERS = (1, 8)
VARIATION, CORRELATION = 0.25, 0.01
"""Of the normal problem. The correlation within a block is what org runs of solo-greedy have (0.014)."""
RACE, FLAT, IRACE_T, IRACE_F = "race", "flat", "irace's rule, t", "irace's rule, F"


def share(hits: int, n: int) -> tuple[float, tuple[float, float]]:
    """A share with its exact interval (Clopper and Pearson, Biometrika 26, 1934)."""
    interval = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
    return hits / n, (float(interval.low), float(interval.high))


def row(problem: str, challengers: int, name: str, outcomes: Sequence[Outcome], planted: bool) -> Row:
    found = sum(outcome.accepted == 1 for outcome in outcomes) if planted else 0
    false = sum(outcome.accepted > int(planted) for outcome in outcomes)
    runs = [outcome.org_runs for outcome in outcomes]
    lost = sum(outcome.champion_lost for outcome in outcomes) / len(outcomes)
    n, mean = len(outcomes), float(np.mean(runs))
    blocks = float(np.mean([outcome.blocks for outcome in outcomes]))
    return Row(
        problem,
        challengers,
        name,
        n,
        *share(found, n),
        *share(false, n),
        lost,
        mean,
        max(runs),
        mean * GPU_HOURS,
        blocks,
    )


def tables(problem: Problem, terms: RaceTerms, races: int, gain: float) -> list[Scores]:
    """Score tables of the races; a race has its own stream, so more races leave the first ones as they are."""
    drawn = []
    for number in range(races):
        rng = numpy_stream(number, "bench-racing", problem.name, len(terms.challengers), int(gain > 0))
        scores = problem.draw(rng, terms.most, 1 + len(terms.challengers))
        drawn.append(plant(scores, gain))
    return drawn


def irace_rules(terms: RaceTerms) -> dict[str, Design]:
    """Both rules, with as many org runs as the race may use at most."""
    budget = most_org_runs(terms)
    rules = {IRACE_T: t_elimination, IRACE_F: friedman_elimination}
    return {name: irace_elimination(rule, ALPHA, budget) for name, rule in rules.items()}


def most_org_runs(terms: RaceTerms) -> int:
    """What a race costs that nobody leaves before he has to, and that runs all its blocks."""
    field = [min([len(terms.challengers), *(c.keep for c in terms.cuts if c.blocks <= b)]) for b in range(terms.most)]
    return sum(field) + terms.most


def run_all(designs: dict[str, Design], drawn: Sequence[Scores], what: str) -> dict[str, list[Outcome]]:
    shown = track(drawn, what, console=Console(stderr=True))
    outcomes = [{name: design(scores) for name, design in designs.items()} for scores in shown]
    return {name: [one[name] for one in outcomes] for name in designs}


def compare_twins(problem: Problem, challengers: int, races: int) -> list[Row]:
    """A/A: nobody is better. With one challenger irace has nothing to eliminate but it."""
    terms = standing_terms(challengers)
    drawn = tables(problem, terms, races, 0.0)
    others = irace_rules(terms) if challengers > 1 else {}
    ran = run_all({RACE: our_race(terms), **others}, drawn, f"A/A, {challengers}, {problem.name}")
    return [row(problem.name, challengers, name, outcomes, planted=False) for name, outcomes in ran.items()]


def compare_power(problem: Problem, races: int, gain: float) -> list[Row]:
    """One of the most challengers is better; the flat design gets as many blocks as it needs to find it as often."""
    challengers = max(CHALLENGERS)
    terms = standing_terms(challengers)
    drawn = tables(problem, terms, races, gain)
    ran = run_all({RACE: our_race(terms), **irace_rules(terms)}, drawn, f"planted, {problem.name}")
    blocks = flat_blocks(drawn, sum(outcome.accepted == 1 for outcome in ran[RACE]))
    ran[f"{FLAT}, {blocks} blocks"] = [flat(blocks, ALPHA)(scores) for scores in drawn]
    return [row(problem.name, challengers, name, outcomes, planted=True) for name, outcomes in ran.items()]


def flat_blocks(drawn: Sequence[Scores], wanted: int) -> int:
    """The fewest blocks with which the flat design finds the planted one as often, or all there are."""
    low, high = 1, len(drawn[0])
    while high - low > 1:
        middle = (low + high) // 2
        enough = sum(flat(middle, ALPHA)(scores).accepted == 1 for scores in drawn) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


def levels(courses: int, real: Sequence[Bootstrapped]) -> list[Level]:
    """The test at :data:`ALPHA` and at an eighth of it, over the blocks of the standard terms."""
    terms = standing_terms(max(CHALLENGERS))
    size, both = (courses, terms.most), (1 / ALPHA, terms.level())
    drawn = {name: draw(numpy_stream(0, "bench-racing-level", name), size) for name, draw in SHAPES.items()}
    for ours, theirs in permutations(real, 2):
        name = f"{ours.organization} against an equal {theirs.organization}"
        drawn[name] = between(numpy_stream(0, "bench-racing-level", name), ours, theirs, size)
    found = [
        Level(name, courses, *(share_rejected(pairs, level, EFFECTS, terms.least) for level in both))
        for name, pairs in drawn.items()
    ]
    for crash in CRASHES:
        shares = [
            share_rejected_with_crashes(numpy_stream(0, "bench-racing-crash"), size, crash, level, EFFECTS, terms.least)
            for level in both
        ]
        found.append(Level(f"normal, each crashes {100 * crash:g} %", courses, *shares))
    return found


def blocks_needed() -> list[Blocks]:
    """For a race's most usual questions: twice as many org runs, as a block is one of each organization."""
    found = []
    for relative in (0.1, 0.2, 0.4):
        for variation in (0.25, 0.35):
            for challengers in CHALLENGERS:
                pairs = variation * math.sqrt(2)
                question = Question(relative, pairs, ALPHA / challengers, 0.9, most=1000, effects=EFFECTS)
                found.append(Blocks(relative, variation, challengers, need(question, GPU_HOURS, 2000, seed=0)))
    return found


def _plain(rows: Sequence[Any]) -> Any:
    return json.loads(msgspec.json.encode(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--races", type=int, default=1000)
    parser.add_argument("--courses", type=int, default=4000, help="of the third table")
    parser.add_argument("--gain", type=float, default=0.2, help="how much better the planted organization is")
    parser.add_argument("--record", type=int, metavar="SEEDS", help="record simulated org runs anew, and stop")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.record:
        record(given.record)
        print(f"wrote {RECORDED}", file=sys.stderr)
        return
    real = recorded()
    problems: list[Problem] = [Normal(VARIATION, CORRELATION), *real]
    twins = [r for problem in problems for k in CHALLENGERS for r in compare_twins(problem, k, given.races)]
    power = [r for problem in problems for r in compare_power(problem, given.races, given.gain)]
    level = levels(given.courses, real)
    blocks = blocks_needed()
    shapes = {problem.name: asdict(shape(problem.table)) for problem in real}
    if given.json:
        found: dict[str, list[Any]] = {"twins": twins, "power": power, "level": level, "blocks": blocks}
        print(json.dumps({name: _plain(rows) for name, rows in found.items()} | {"shapes": shapes}))
        return
    print(f"A/A, {given.races} races each: nobody is better\n\n{twins_table(twins)}\n")
    one_of = f"One of {max(CHALLENGERS)} challengers is {100 * given.gain:g} % better, {given.races} races each"
    print(f"{one_of}\n\n{power_table(power)}\n")
    print(f"The test alone, {given.courses} courses, no difference\n\n{level_table(level)}\n")
    print(f"Blocks that one comparison needs, said beforehand, for a power of 90 %\n\n{blocks_table(blocks)}")
    print("\nRecorded org runs: " + "; ".join(f"{name} {values}" for name, values in shapes.items()))


if __name__ == "__main__":
    main()
