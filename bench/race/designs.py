"""Ways to find a better organization than the champion, all on the same score table: whom they accept, at what cost.

Tables are blocks × organizations; organization 0 is the champion. ``accepted`` is the number of the organization
that takes the champion's place, 0 where nobody does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import special

from bench.race.problems import Scores
from metaloop.meta.racing.halving import standard_terms
from metaloop.meta.racing.race import begin, next_jobs, observe, verdict
from metaloop.meta.racing.terms import Observation, RaceTerms


class Outcome(NamedTuple):
    """``champion_lost``: the design says that the champion is worse than another one."""

    accepted: int
    champion_lost: bool
    org_runs: int
    blocks: int


Design: TypeAlias = Callable[[Scores], Outcome]


def standing_terms(challengers: int) -> RaceTerms:
    """The standard terms for organizations called by their numbers; an org run costs 1, and the budget is no limit."""
    names = tuple(str(number) for number in range(1, challengers + 1))
    return standard_terms("0", names, (), budget=1e6, job_cost=1.0)


def our_race(given: RaceTerms) -> Design:
    """metaloop's race."""

    def run(scores: Scores) -> Outcome:
        state = begin(given)
        while jobs := next_jobs(state):
            seen = [Observation(job.name, job.block, float(scores[job.block, int(job.name)]), 1.0) for job in jobs]
            state = observe(state, seen)
        end = verdict(state)
        accepted = int(end.accepted or 0)
        return Outcome(accepted, accepted > 0, end.org_runs, end.blocks)

    return run


def flat(blocks: int, alpha: float) -> Design:
    """Everybody gets ``blocks`` blocks; then one one-sided paired t test each against the champion, corrected after
    Bonferroni; the best of the significant ones is accepted."""

    def run(scores: Scores) -> Outcome:
        pairs = scores[:blocks, 1:] - scores[:blocks, :1]
        error = pairs.std(axis=0, ddof=1) / np.sqrt(blocks)
        p = special.stdtr(blocks - 1, -pairs.mean(axis=0) / error)
        means = np.where(p < alpha / pairs.shape[1], pairs.mean(axis=0), -np.inf)
        accepted = int(means.argmax()) + 1 if np.isfinite(means).any() else 0
        return Outcome(accepted, accepted > 0, blocks * scores.shape[1], blocks)

    return run


FIRST_TEST = 5
"""irace's T_first."""

Elimination: TypeAlias = Callable[[Scores, float], tuple[int, list[bool]]]
"""Scores of those alive to the best one's place among them, and who stays."""


def irace_elimination(rule: Elimination, alpha: float, budget: int) -> Design:
    """irace's elimination rule (López-Ibáñez et al., "The irace package", Operations Research Perspectives 3, 2016,
    sections 2 and 3): all run on one instance after the other; from the fifth on, after each, those that are
    significantly worse than the best are eliminated, at 0.05 without any correction. The race ends with one left, or
    before an instance that the budget (org runs) does not pay for, or with the last block. irace then goes on with the
    best, whether or not anybody was eliminated: that one is accepted here. The champion races like anybody else.
    """

    def run(scores: Scores) -> Outcome:
        alive, spent, best, blocks = list(range(scores.shape[1])), 0, 0, 0
        while len(alive) > 1 and blocks < len(scores) and spent + len(alive) <= budget:
            blocks, spent = blocks + 1, spent + len(alive)
            if blocks < FIRST_TEST:
                continue
            place, stays = rule(scores[:blocks, alive], alpha)
            best = alive[place]
            alive = [one for one, stay in zip(alive, stays, strict=True) if stay]
        return Outcome(best, 0 not in alive, spent, blocks)

    return run


def t_elimination(scores: Scores, alpha: float) -> tuple[int, list[bool]]:
    """Two-sided paired t tests of the best mean against each other one."""
    n, best = len(scores), int(scores.mean(axis=0).argmax())
    pairs = scores[:, [best]] - scores
    with np.errstate(invalid="ignore", divide="ignore"):
        t = pairs.mean(axis=0) / (pairs.std(axis=0, ddof=1) / np.sqrt(n))
    worse = 2 * special.stdtr(n - 1, -np.abs(t)) < alpha
    worse[best] = False
    return best, (~worse).tolist()


def friedman_elimination(scores: Scores, alpha: float) -> tuple[int, list[bool]]:
    """Friedman's test; where it is significant, Conover's comparison of rank sums with the best ("Practical
    Nonparametric Statistics", 3rd ed. 1999, pages 369 to 371). With two left, Wilcoxon's signed-rank test."""
    n, k = scores.shape
    if k == 2:
        difference = scores[:, 0] - scores[:, 1]
        best = int(np.median(difference) < 0)
        significant = wilcoxon(difference) < alpha
        return best, [place == best or not significant for place in range(2)]
    ranks = (-scores).argsort(axis=1).argsort(axis=1) + 1
    sums = ranks.sum(axis=0)
    best = int(sums.argmin())
    squares = float((ranks**2).sum())
    # Ranks without ties, as scores hardly ever are equal.
    chi2 = (k - 1) * ((sums - n * (k + 1) / 2) ** 2).sum() / (squares - n * k * (k + 1) ** 2 / 4)
    if special.chdtrc(k - 1, chi2) >= alpha:
        return best, [True] * k
    degrees = (n - 1) * (k - 1)
    edge = special.stdtrit(degrees, 1 - alpha / 2) * np.sqrt(2 * (n * squares - (sums**2).sum()) / degrees)
    return best, (sums - sums[best] <= edge).tolist()


def wilcoxon(differences: Scores) -> float:
    """Two-sided p value of Wilcoxon's signed-rank test by its normal approximation with continuity correction, for
    differences without zeros and ties; SciPy's takes ten times as long."""
    n = len(differences)
    positive = float((np.abs(differences).argsort().argsort() + 1)[differences > 0].sum())
    away = max(0.0, abs(positive - n * (n + 1) / 4) - 0.5)
    return 2 * float(special.ndtr(-away / np.sqrt(n * (n + 1) * (2 * n + 1) / 24)))
