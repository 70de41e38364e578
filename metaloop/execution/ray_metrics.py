"""Figures of an org run for Prometheus, through Ray's own metrics: every node exports them with Ray's.

They come from the process that hosts the controller and are named ``ray_metaloop_*``, with the organization and its
seed as labels. Ray sends them every ten seconds, and not once more at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metaloop.actors.state import OrgState
from metaloop.execution.org_run import Observer
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.records import TRUNK

REPORT_S = 10.0
"""How often Ray sends figures, unless its cluster was told otherwise (``RAY_metrics_report_interval_ms``)."""
LABELS = ("organization", "seed")
GAUGES: Mapping[str, str] = {
    "devices": "Devices held.",
    "devices_busy": "Devices that train.",
    "queue_length": "Experiments that wait for a device.",
    "merges": "Changes merged to trunk.",
    "best_bpb": "Trunk's validation score, bits per byte.",
    "spent_gpu_hours": "Device-hours allocated so far, idle ones included.",
    "budget_gpu_hours": "Device-hours granted.",
    "utilization": "Share of allocated device time that finished trainings used.",
    "tokens": "Tokens of the members' decisions.",
    "usd": "Dollars of the members' decisions.",
}


class Meters:
    """The figures of all org runs of this process; Ray must be connected when the first one begins."""

    def __init__(self) -> None:
        self._gauges: dict[str, Any] = {}
        self._experiments: Any = None
        self._clock = WallClock()
        self._last: float | None = None
        """When the figures changed last."""

    def org_run(self, name: str, seed: int) -> Observer:
        """Follows one org run."""
        self._begin()
        labels = dict(zip(LABELS, (name, str(seed)), strict=True))

        def observe(event: ev.Event, state: OrgState) -> None:
            self._last = self._clock.now()
            if isinstance(event, ev.Finished):
                self._experiments.inc(1.0, {**labels, "state": event.result.state})
            if isinstance(event, ev.Started | ev.Finished | ev.Merged | ev.RunEnded):
                for gauge, value in figures(state).items():
                    self._gauges[gauge].set(value, labels)

        return observe

    def settle(self) -> None:
        """Wait until the last figures have been sent: at most a report's interval, at once where that has passed."""
        if self._last is not None:
            self._clock.sleep(max(0.0, self._last + REPORT_S + 1.0 - self._clock.now()))

    def _begin(self) -> None:
        if self._gauges:
            return
        from ray.util.metrics import Counter, Gauge

        self._gauges = {name: Gauge(f"metaloop_{name}", text, LABELS) for name, text in GAUGES.items()}
        text = "Trainings that reached a final state."
        self._experiments = Counter("metaloop_experiments", text, (*LABELS, "state"))


def figures(state: OrgState) -> dict[str, float]:
    """The gauges' values; what is not known yet is left out."""
    spent = state.ledger.spent_s(state.now)
    values = {
        "devices": float(state.ledger.rate),
        "devices_busy": float(state.ledger.group * len(state.running)),
        "queue_length": float(len(state.queue)),
        "merges": float(state.branches[TRUNK].merges),
        "spent_gpu_hours": spent / 3600,
        "budget_gpu_hours": state.ledger.budget_s / 3600,
        "tokens": float(state.ledger.tokens),
        "usd": state.ledger.usd,
    }
    if spent > 0:
        values["utilization"] = min(1.0, state.ledger.busy_s / spent)
    best = state.scores.get(state.branches[TRUNK].key, {}).get(0)
    return values if best is None else {**values, "best_bpb": best}
