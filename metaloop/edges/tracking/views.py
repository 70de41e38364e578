"""Saved views of the MLflow experiment: what to look at first, under *Views* in the UI.

The UI's own table starts with creation dates and no metrics, and its charts with one bar a metric. A saved view is an
experiment tag ``mlflow.sharedViewState.KEY`` (its format: ``{name, createdAt, updatedAt, state}``, ``state`` being the
JSON of the page's search and table state, as the UI of MLflow 3.17 writes it). An MLflow that does not know
the tag ignores it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

PREFIX = "mlflow.sharedViewState."
CREATED_MS = 1_767_225_600_000
"""Views need a date to be sorted by; a fixed one, so that the tag does not change from run to run."""

CARDS, WIDE = "metaloop-cards", "metaloop-wide"
"""Sections of the chart page."""

KNOBS = ("members", "sharing", "quorum", "cadence.standup_every", "proposer.strategy", "proposer.boldness")
"""Params along the parallel coordinates: those in which shipped organizations differ most."""


def views() -> Mapping[str, str]:
    """Experiment tags of all views."""
    states = {
        "metaloop-organizations": ("1 Organizations, the best first", _organizations()),
        "metaloop-org-runs": ("2 Org runs, by seed", _org_runs()),
        "metaloop-merges": ("3 Changes that were merged", _merges()),
    }
    tags = {}
    for key, (name, state) in states.items():
        envelope = {"name": name, "createdAt": CREATED_MS, "updatedAt": CREATED_MS, "state": json.dumps(state)}
        tags[PREFIX + key] = json.dumps(envelope)
    return MappingProxyType(tags)


def _organizations() -> dict[str, Any]:
    metrics = (
        "gain_bpb", "gain_ci95_low", "gain_ci95_high", "real_gain_bpb", "gain_per_gpu_hour", "versus_best_control_bpb",
        "gain_per_million_tokens", "gain_per_usd", "tokens", "usd", "refusals", "idle_thinking_share",
        "anytime_area", "utilization", "experiments", "merges", "false_merges",
    )  # fmt: skip
    bars = [_chart("BAR", name, metricKey=name) for name in ("gain_bpb", "gain_per_gpu_hour", "anytime_area")]
    columns = [*_columns("metrics", metrics), *_columns("tags", ("control", "run")), *_columns("params", KNOBS)]
    return _state("tags.level = 'organization'", "metrics.`gain_bpb`", columns, [*bars, _parallel()])


def _org_runs() -> dict[str, Any]:
    metrics = ("gain_bpb", "gain_ci95_low", "gain_ci95_high", "gpu_hours", "utilization", "merges", "false_merges")
    charts = [
        _line("confirmed_gain_over_gpu_seconds", "confirmed gain over GPU-seconds"),
        _line("best_val_bpb", "best val bpb kept, over experiments"),
        _chart("BAR", "gain_bpb", metricKey="gain_bpb"),
        _parallel(),
    ]
    columns = [*_columns("metrics", metrics), *_columns("tags", ("organization", "seed", "run"))]
    return _state("tags.level = 'org run'", "metrics.`gain_bpb`", columns, charts)


def _merges() -> dict[str, Any]:
    metrics = ("val_bpb", "delta_bpb", "seconds")
    charts = [_chart("BAR", "delta_bpb", metricKey="delta_bpb"), _line("learning_curve_bpb", "learning curves")]
    columns = [*_columns("metrics", metrics), *_columns("tags", ("organization", "seed", "author", "hypothesis"))]
    query = "tags.level = 'experiment' and tags.fate = 'merged' and tags.purpose != 'repeat'"
    return _state(query, "metrics.`delta_bpb`", columns, charts, ascending=True)


def _columns(kind: str, names: Sequence[str]) -> list[str]:
    return [f"{kind}.`{name}`" for name in names]


def _chart(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"metaloop-{kind}-{name}".replace(" ", "-"),
        "displayName": name,
        "runsCountToCompare": 10,
        "metricSectionId": CARDS,
        "deleted": False,
        "isGenerated": False,
        **fields,
    }


def _parallel() -> dict[str, Any]:
    """Parallel coordinates over the knobs, in a section of its own, as wide as the page."""
    fields = {"selectedParams": list(KNOBS), "selectedMetrics": ["gain_bpb"], "showAllRuns": True}
    return _chart("PARALLEL", "knobs and gain", **fields) | {"metricSectionId": WIDE}


def _line(metric: str, name: str) -> dict[str, Any]:
    return _chart(
        "LINE", name, metricKey=metric, selectedMetricKeys=[metric], xAxisKey="step", useGlobalXaxisKey=False,
        lineSmoothness=0, scaleType="linear", xAxisScaleType="linear", displayPoints=True,
    )  # fmt: skip


def _state(
    query: str, order: str, columns: list[str], charts: list[dict[str, Any]], ascending: bool = False
) -> dict[str, Any]:
    return {
        "searchFilter": query,
        "orderByKey": order,
        "orderByAsc": ascending,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "selectedColumns": columns,
        "columnOrder": columns,
        "compareRunCharts": charts,
        "compareRunSections": [_section(CARDS, "Results", 3), _section(WIDE, "Knobs against gain", 1)],
        "isAccordionReordered": True,
        "runsHiddenMode": "FIRST_20_RUNS",
    }


def _section(key: str, name: str, columns: int) -> dict[str, Any]:
    flags = {"display": True, "isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": key, "name": name, "columns": columns, "cardHeight": 400, **flags}
