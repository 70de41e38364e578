"""The published course, for comparison only: nothing of the world reads it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

BASELINE = 0.9979


@dataclass(frozen=True)
class Published:
    """One published experiment: label, delta against the incumbent (bpb; ``None``: failed), whether it was kept, and
    the incumbent's bpb afterwards."""

    kind: str
    delta: float | None
    kept: bool
    incumbent: float


def published() -> list[Published]:
    """The 125 experiments after the baseline, in order (karpathy/autoresearch, exp/H100/mar8, PR #44)."""
    text = files("metaloop.execution.h100_world").joinpath("published.tsv").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    incumbent = BASELINE
    course = []
    for row in csv.DictReader(lines, delimiter="\t"):
        delta = None if row["delta_val_bpb"] == "NA" else float(row["delta_val_bpb"])
        kept = row["decision"] == "keep"
        if kept and delta is not None:
            incumbent += delta
        course.append(Published(row["kind"], delta, kept, incumbent))
    return course
