"""How far the simulator is from reality: the same organizations, seeds and budget, real beside simulated.

Does not own the runs, only their comparison. ``docs/simulator.md`` has what the figures mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from metaloop.meta.results import OrganizationResult, OrgRunResult, Results
from metaloop.meta.statistics import t_interval
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.intervals import Estimate
from metaloop.vocabulary.seeds import numpy_stream

DRAWS = 4000
LEAST_GAIN = 1e-3
"""A real gain below this (bpb) has no relative error: that of an organization that never merges is exactly 0."""


class Compared(msgspec.Struct, frozen=True):
    """A measure of one organization: mean over real org runs, over simulated ones, and their difference.

    ``error`` is (simulated - real) / real where the measure is relative, simulated - real otherwise; ``None`` where
    there is nothing to relate to.
    """

    real: Estimate
    simulated: Estimate
    error: float | None


class OrganizationFidelity(msgspec.Struct, frozen=True):
    """One organization, real beside simulated. Gain, makespan, experiments and merges have relative errors,
    utilization and the share of false merges absolute ones."""

    name: str
    gain: Compared
    utilization: Compared
    makespan_s: Compared
    experiments: Compared
    merges: Compared
    false_merges: Compared


class Fidelity(msgspec.Struct, frozen=True):
    """The comparison as a whole.

    ``tau`` is Kendall's tau-b (Kendall 1945) of the organizations' mean gains, real against simulated, with the 2.5 %
    and 97.5 % quantiles over means drawn from their t distributions. ``tau_ceiling`` is the mean tau of the real
    ranking on one half of the seeds against that on the other half (``None`` below four seeds): no simulator can be
    closer to a ranking than that ranking is to itself. Gain errors are means of absolute relative errors over the
    organizations that gain at all; ``gain_error_floor`` is what a perfect simulator would be expected to show, since
    the real means are of few org runs. ``utilization_error`` is the largest absolute difference.
    """

    organizations: tuple[OrganizationFidelity, ...]
    seeds: int
    tau: float
    tau_ci95: tuple[float, float]
    tau_ceiling: float | None
    best_real: str
    best_simulated: str
    gain_error: float
    gain_error_floor: float
    utilization_error: float
    makespan_error: float
    experiments_error: float
    merges_error: float

    @property
    def best_agrees(self) -> bool:
        """Whether the simulator's best organization is the real best."""
        return self.best_real == self.best_simulated


def compare_worlds(real: Results, simulated: Results) -> Fidelity:
    """Compare two measured runs of the same organizations.

    Raises:
        UsageError: they have fewer than two finished organizations in common.
    """
    theirs = {o.name: o for o in simulated.organizations if _runs(o)}
    pairs = [(o, theirs[o.name]) for o in real.organizations if o.name in theirs and _runs(o)]
    if len(pairs) < 2:
        raise UsageError(
            f"{real.out} and {simulated.out} have {len(pairs)} finished organizations in common. Compare at least two."
        )
    compared = tuple(_organization(ours, other) for ours, other in sorted(pairs, key=lambda p: p[0].name))
    gains = [o.gain for o in compared]
    return Fidelity(
        organizations=compared,
        seeds=max(len(_runs(ours)) for ours, _ in pairs),
        tau=kendall([g.real.mean for g in gains], [g.simulated.mean for g in gains]),
        tau_ci95=_tau_interval(gains),
        tau_ceiling=_ceiling([ours for ours, _ in pairs]),
        best_real=max(compared, key=lambda o: o.gain.real.mean).name,
        best_simulated=max(compared, key=lambda o: o.gain.simulated.mean).name,
        gain_error=_mean_error([o.gain for o in compared]),
        gain_error_floor=_error_of_chance(gains),
        utilization_error=max(abs(o.utilization.error or 0.0) for o in compared),
        makespan_error=_mean_error([o.makespan_s for o in compared]),
        experiments_error=_mean_error([o.experiments for o in compared]),
        merges_error=_mean_error([o.merges for o in compared]),
    )


def kendall(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Kendall's tau-b of two lists; NaN where one of them has no order at all."""
    from scipy.stats import kendalltau

    return float(kendalltau(ours, theirs).statistic)


def _runs(organization: OrganizationResult) -> list[OrgRunResult]:
    return [run for run in organization.org_runs if run.gain_bpb is not None]


def _organization(real: OrganizationResult, simulated: OrganizationResult) -> OrganizationFidelity:
    def compared(measure: Callable[[OrgRunResult], float], relative: bool) -> Compared:
        ours = t_interval([measure(run) for run in _runs(real)])
        theirs = t_interval([measure(run) for run in _runs(simulated)])
        error: float | None = theirs.mean - ours.mean
        if relative:
            error = (theirs.mean - ours.mean) / ours.mean if abs(ours.mean) >= LEAST_GAIN else None
        return Compared(ours, theirs, error)

    return OrganizationFidelity(
        name=real.name,
        gain=compared(lambda run: run.gain_bpb or 0.0, relative=True),
        utilization=compared(lambda run: run.utilization, relative=False),
        makespan_s=compared(lambda run: run.makespan_s, relative=True),
        experiments=compared(lambda run: float(run.experiments), relative=True),
        merges=compared(lambda run: float(run.merges), relative=True),
        false_merges=compared(lambda run: run.false_merges / run.merges if run.merges else 0.0, relative=False),
    )


def _mean_error(compared: Sequence[Compared]) -> float:
    errors = [abs(c.error) for c in compared if c.error is not None]
    return math.fsum(errors) / len(errors) if errors else math.nan


def _standard_error(estimate: Estimate) -> float:
    """Of the mean, from its interval; 0 where there is none."""
    if estimate.ci95 is None:
        return 0.0
    from scipy.special import stdtrit

    return (estimate.ci95[1] - estimate.mean) / float(stdtrit(estimate.n - 1, 0.975))


def _error_of_chance(gains: Sequence[Compared]) -> float:
    """Mean over organizations of E|Z| = s·sqrt(2/pi), Z normal with both means' standard error, over the real mean."""
    errors = [
        math.hypot(_standard_error(g.real), _standard_error(g.simulated)) * math.sqrt(2 / math.pi) / abs(g.real.mean)
        for g in gains
        if g.error is not None
    ]
    return math.fsum(errors) / len(errors) if errors else math.nan


def _tau_interval(gains: Sequence[Compared]) -> tuple[float, float]:
    """Quantiles of tau over means drawn around those measured: mean + standard error times Student's t."""
    import numpy as np

    rng = numpy_stream(0, "fidelity-tau")

    def drawn(estimate: Estimate) -> list[float]:
        if estimate.ci95 is None:
            return [estimate.mean] * DRAWS
        error = _standard_error(estimate)
        values: list[float] = (estimate.mean + error * rng.standard_t(estimate.n - 1, DRAWS)).tolist()
        return values

    real, simulated = [drawn(g.real) for g in gains], [drawn(g.simulated) for g in gains]
    taus = [kendall([r[i] for r in real], [s[i] for s in simulated]) for i in range(DRAWS)]
    low, high = np.nanquantile(taus, [0.025, 0.975])
    return float(low), float(high)


def _ceiling(real: Sequence[OrganizationResult]) -> float | None:
    """Mean tau between the rankings on the two halves of the seeds, over all ways to halve them."""
    from itertools import combinations

    gains = [{run.seed: run.gain_bpb or 0.0 for run in _runs(o)} for o in real]
    seeds = sorted(set.intersection(*(set(g) for g in gains)))
    if len(seeds) < 4:
        return None
    taus = []
    for half in combinations(seeds, len(seeds) // 2):
        rest = [seed for seed in seeds if seed not in half]
        ours = [math.fsum(g[s] for s in half) / len(half) for g in gains]
        theirs = [math.fsum(g[s] for s in rest) / len(rest) for g in gains]
        taus.append(kendall(ours, theirs))
    known = [tau for tau in taus if not math.isnan(tau)]
    return math.fsum(known) / len(known) if known else None
