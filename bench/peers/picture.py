"""Mean anytime curves of both sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metaloop.meta.confirmed import gain_at
from metaloop.meta.results import OrganizationResult

POINTS = 200
INK, SOFT, GRID = "#1d2129", "#5c6470", "#e7e5df"
OURS = ("#2f5fd0", "#d9730d", "#0f8b6d", "#8a3fc4", "#b0343c", "#7a6a12", "#c2408f", "#1d8fb3")
DASHES = ("solid", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
"""Peers share the greys and differ by their dashes."""
GREYS = ("#3b4049", "#8b929c")


def draw(organizations: Sequence[OrganizationResult], peers: Sequence[OrganizationResult], path: Path) -> None:
    """Mean confirmed gain of the best so far over GPU-hours: organizations in colour, peers in grey."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams |= {"svg.hashsalt": "peers", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    figure, axes = plt.subplots(figsize=(9.6, 5.2), layout="constrained")
    for place, found in enumerate(peers):
        style = DASHES[place % len(DASHES)]
        grey = GREYS[place // len(DASHES) % len(GREYS)]
        axes.step(*_mean(found), where="post", color=grey, linewidth=1.3, linestyle=style, label=found.name)
    for place, found in enumerate(organizations):
        colour = OURS[place % len(OURS)]
        axes.step(*_mean(found), where="post", color=colour, linewidth=2.2, label=f"{found.name} (organization)")
    axes.set(
        xlabel="allocated GPU-hours", ylabel="confirmed gain so far, bits per byte", xlim=(0, None), ylim=(0, None)
    )
    runs = max((len(found.org_runs) for found in (*organizations, *peers)), default=0)
    axes.set_title(f"Organizations and peers, mean of {runs} paired runs", loc="left", fontweight="bold", color=INK)
    axes.tick_params(colors=SOFT)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for edge in ("top", "right"):
        axes.spines[edge].set_visible(False)
    lines = sorted(axes.get_lines(), key=lambda line: -float(np.asarray(line.get_ydata())[-1]))
    figure.legend(handles=lines, loc="outside right center", frameon=False, labelcolor=INK, title="by gain at B")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=160)
    plt.close(figure)


def _mean(found: OrganizationResult) -> tuple[list[float], list[float]]:
    """The mean curve from 0 to B, on an even grid."""
    runs = [run for run in found.org_runs if run.gain_bpb is not None]
    budget = max((run.budget_gpu_hours for run in runs), default=0.0)
    hours = [budget * k / POINTS for k in range(POINTS + 1)]
    return hours, [sum(gain_at(run.anytime, h) for run in runs) / max(1, len(runs)) for h in hours]
