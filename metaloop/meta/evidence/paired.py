"""The evolved organization against others on shared org-run seeds: differences, intervals, corrected p values.

Two p values, two assumptions: the paired t test goes with the t interval and asks for noise that is nearly normal; the
exact sign-flip test asks only for symmetric noise, but with n seeds it cannot say less than 2·2⁻ⁿ, so the smallest of m
comparisons is never below m·2·2⁻ⁿ. Both are corrected for the family after Holm.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaloop.meta.racing.pairing import differences
from metaloop.meta.results import OrganizationResult
from metaloop.meta.statistics import holm, sign_flip_test, t_interval, t_test


class Paired(msgspec.Struct, frozen=True):
    """Gain of ``ours`` minus gain of ``theirs`` (bpb, positive: ours is larger) over ``n`` shared org-run seeds.

    ``ci95`` is the t interval of the differences. Of the seeds, ``missing`` are such that one of the two has no score:
    it lost there (:func:`metaloop.meta.racing.pairing.differences`). ``p_t`` is the two-sided paired t test's,
    ``p_exact`` the sign-flip test's (``None`` beyond 20 seeds); ``_holm`` are those corrected for a family.
    """

    ours: str
    theirs: str
    difference_bpb: float
    ci95: tuple[float, float] | None
    n: int
    missing: int
    p_t: float | None
    p_exact: float | None
    p_t_holm: float | None = None
    p_exact_holm: float | None = None


def compare(ours: OrganizationResult, theirs: OrganizationResult) -> Paired | None:
    """The two on the seeds that both have run; ``None`` where no seed has a score. No correction yet."""
    mine = {run.seed: run.gain_bpb for run in ours.org_runs if run.finished}
    others = {run.seed: run.gain_bpb for run in theirs.org_runs if run.finished}
    seeds = sorted(mine.keys() & others.keys())
    found = differences([mine[seed] for seed in seeds], [others[seed] for seed in seeds])
    if not found:
        return None
    estimate = t_interval(found)
    return Paired(
        ours=ours.name,
        theirs=theirs.name,
        difference_bpb=estimate.mean,
        ci95=estimate.ci95,
        n=estimate.n,
        missing=sum((mine[seed] is None) != (others[seed] is None) for seed in seeds),
        p_t=t_test(found),
        p_exact=sign_flip_test(found) if len(found) > 1 else None,
    )


def corrected(family: Sequence[Paired | None]) -> tuple[Paired | None, ...]:
    """The comparisons of one family with both p values corrected for how many there are."""
    t_values = holm([None if pair is None else pair.p_t for pair in family])
    exact = holm([None if pair is None else pair.p_exact for pair in family])
    return tuple(
        None if pair is None else msgspec.structs.replace(pair, p_t_holm=p_t, p_exact_holm=p_exact)
        for pair, p_t, p_exact in zip(family, t_values, exact, strict=True)
    )
