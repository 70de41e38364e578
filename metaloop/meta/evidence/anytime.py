"""Gain over GPU-hours: mean anytime curves with intervals, and how soon a curve is where another organization ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from metaloop.meta.confirmed import gain_at
from metaloop.meta.results import CurvePointGain, OrganizationResult
from metaloop.meta.statistics import t_interval

POINTS = 60
"""Places at which curves are read, evenly: finer than a picture shows."""
TOLERANCE = 1e-12
"""A mean of equal numbers may differ from them in the last digit (bpb)."""


class Curve(msgspec.Struct, frozen=True):
    """Mean confirmed best-so-far gain (bpb) of an organization over ``n`` org runs, at the hours of :class:`Curves`.

    ``low`` and ``high`` are the pointwise 95 % t interval; empty with fewer than two org runs.
    """

    organization: str
    n: int
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Curves(msgspec.Struct, frozen=True):
    """The curves of several organizations at the same GPU-hours of an org run.

    They begin at 0 and end where the longest org run ended: a little after the budget, as trainings in flight do.
    """

    gpu_hours: tuple[float, ...]
    curves: tuple[Curve, ...]


def mean_curves(organizations: Iterable[OrganizationResult], budget_hours: float) -> Curves:
    """Mean curves of the organizations; those without a confirmed org run are left out."""
    organizations = tuple(organizations)
    end = max([budget_hours, *(run.gpu_hours for organization in organizations for run in organization.org_runs)])
    hours = _short(end * step / POINTS for step in range(POINTS + 1))
    curves = (_mean_curve(organization, hours) for organization in organizations)
    return Curves(hours, tuple(curve for curve in curves if curve is not None))


def _mean_curve(organization: OrganizationResult, hours: Sequence[float]) -> Curve | None:
    curves = list(_curves(organization).values())
    if not curves:
        return None
    estimates = [t_interval([gain_at(curve, h) for curve in curves]) for h in hours]
    intervals = [estimate.ci95 for estimate in estimates if estimate.ci95 is not None]
    return Curve(
        organization=organization.name,
        n=len(curves),
        mean=_short(estimate.mean for estimate in estimates),
        low=_short(low for low, _ in intervals),
        high=_short(high for _, high in intervals),
    )


def _curves(organization: OrganizationResult) -> dict[int, tuple[CurvePointGain, ...]]:
    return {run.seed: run.anytime for run in organization.org_runs if run.gain_bpb is not None and run.anytime}


def _short(values: Iterable[float]) -> tuple[float, ...]:
    """Six digits: the record is kept in a repository."""
    return tuple(float(f"{value:.6g}") for value in values)


class TimeToTarget(msgspec.Struct, frozen=True):
    """GPU-hours of one org run until the mean anytime curve of ``organization`` is at the final gain of ``control``.

    ``gpu_hours`` is ``None`` where it never is; ``share`` is it as a share of the budget. ``ci95_hours`` spans the
    hours h at which the paired t interval of g(h) − c over the ``n`` shared seeds contains 0, with g a seed's curve and
    c the control's final gain on that seed: the hours that the t test does not reject as the time of arrival. So it
    carries the noise of both, and is as exact as the t interval; nothing is resampled. Its end is ``None`` where
    arrival is not certain within the run. ``target_bpb`` is the mean of c.
    """

    organization: str
    control: str
    target_bpb: float
    gpu_hours: float | None
    share: float | None
    ci95_hours: tuple[float, float | None] | None
    budget_hours: float
    n: int


def time_to_target(ours: OrganizationResult, control: OrganizationResult, budget_hours: float) -> TimeToTarget | None:
    """How soon ``ours`` is where ``control`` ends, over the seeds on which both have a gain; ``None`` without any."""
    curves = _curves(ours)
    ends = {run.seed: run.gain_bpb for run in control.org_runs if run.gain_bpb is not None}
    seeds = sorted(curves.keys() & ends.keys())
    if not seeds:
        return None
    hours = sorted({point.gpu_hours for seed in seeds for point in curves[seed]})
    ahead = [t_interval([gain_at(curves[seed], h) - ends[seed] for seed in seeds]) for h in hours]
    arrived = next((h for h, lead in zip(hours, ahead, strict=True) if lead.mean >= -TOLERANCE), None)
    return TimeToTarget(
        organization=ours.name,
        control=control.name,
        target_bpb=t_interval([ends[seed] for seed in seeds]).mean,
        gpu_hours=arrived,
        share=None if arrived is None else arrived / budget_hours,
        ci95_hours=_bounds(hours, [lead.ci95 for lead in ahead]),
        budget_hours=budget_hours,
        n=len(seeds),
    )


def _bounds(hours: Sequence[float], leads: Sequence[tuple[float, float] | None]) -> tuple[float, float | None] | None:
    """From the first hour at which the lead may be 0 to the first from which on it is above 0 for certain."""
    known = [(h, lead) for h, lead in zip(hours, leads, strict=True) if lead is not None]
    first = next((h for h, (_, high) in known if high >= -TOLERANCE), None)
    if first is None:
        return None
    behind = [place for place, (_, (low, _)) in enumerate(known) if low < -TOLERANCE]
    after = behind[-1] + 1 if behind else 0
    return first, known[after][0] if after < len(known) else None
