"""Metrics as MLflow has them: points, and what every organization and org run is measured by."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from metaloop.meta.measure import measure_organization
from metaloop.meta.results import OrganizationResult, OrgRunResult


class Point(msgspec.Struct, frozen=True):
    """A metric's value: ``step`` is the x axis, ``t`` seconds since the start of the image's run."""

    value: float
    step: int = 0
    t: float = 0.0


def gain_metrics(result: OrganizationResult | OrgRunResult) -> dict[str, float | None]:
    """An org run's rates are those of an organization that had no other."""
    low, high = result.gain_ci95 or (None, None)
    rates = (
        result if isinstance(result, OrganizationResult) else measure_organization(result.organization, False, [result])
    )
    return {
        "gain_bpb": result.gain_bpb,
        "gain_ci95_low": low,
        "gain_ci95_high": high,
        "gain_per_gpu_hour": rates.gain_per_gpu_hour,
        "gain_per_million_tokens": rates.gain_per_million_tokens,
        "gain_per_usd": rates.gain_per_usd,
        "idle_thinking_share": rates.idle_thinking_share,
        "anytime_area": result.anytime_area,
        "gpu_hours": result.gpu_hours,
        "utilization": result.utilization,
        "experiments": float(result.experiments),
        "merges": float(result.merges),
        "false_merges": float(result.false_merges),
        "unproven_merges": float(result.unproven_merges),
        "tokens": float(result.tokens),
        "usd": result.usd,
        "refusals": float(result.refusals),
        "tokens_unaccounted": float(result.tokens_unaccounted),
    }


def scalars(values: Mapping[str, float | None]) -> dict[str, tuple[Point, ...]]:
    """Metrics of one value, to six digits: noise starts long before, and the UI shows every one."""
    return {name: (Point(float(f"{value:.6g}")),) for name, value in values.items() if value is not None}
