"""The published H100 course beside the same loop on drawn worlds: a table, and a picture with --picture.

    python bench/h100_course.py
    python bench/h100_course.py --worlds 1000 --picture docs/img/h100-course.svg

Worlds 0, 1, 2, … are not those that the numbers were fitted on (10000 and up).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from metaloop.execution.h100_world.course import MARKS, Row, bands, compare, course, incumbents_of
from metaloop.execution.h100_world.published import Published, published
from metaloop.execution.h100_world.published_loop import Tried

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, BAND, OURS, REAL = "#1d2129", "#5c6470", "#c9d7f5", "#2f5fd0", "#d9730d"


def table(rows: Sequence[Row]) -> str:
    """Markdown: one row for each figure."""
    lines = [
        "| figure | published | simulated median | 80 % band | width | inside |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        show = _shown(row)
        band = f"{show(row.low)} to {show(row.high)}"
        cells = (row.name, show(row.published), show(row.median), band, show(row.width), "yes" if row.inside else "NO")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(row: Row) -> Callable[[float], str]:
    if row.name == "failed" or "rate" in row.name or "share" in row.name:
        return lambda value: f"{100 * value:.1f} %"
    return lambda value: f"{value:.0f}" if value >= 1.5 else f"{value:.5f}"


def draw(simulated: Sequence[Sequence[Tried]], real: Sequence[Published], path: Path) -> None:
    """Median and band of the simulated incumbents, a few single courses, and the published course."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("Agg")
    mpl.rcParams |= {"svg.hashsalt": "h100", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    low, middle, high = bands(simulated)
    x = range(len(middle))
    figure, axes = plt.subplots(figsize=(8.4, 4.6), layout="constrained")
    axes.fill_between(x, low, high, step="post", color=BAND, linewidth=0, label="80 % of the worlds")
    for steps in simulated[:6]:
        axes.step(x, incumbents_of(steps), where="post", color=OURS, linewidth=0.7, alpha=0.35)
    axes.step(x, middle, where="post", color=OURS, linewidth=2.2, label="median world")
    incumbents = incumbents_of(real)
    axes.step(x, incumbents, where="post", color=REAL, linewidth=2.2, label="published course")
    kept = [i + 1 for i, step in enumerate(real) if step.kept]
    axes.plot(kept, [incumbents[i] for i in kept], "o", color=REAL, markersize=4.5, markeredgecolor="white")
    for mark in MARKS:
        axes.axvline(mark, color=SOFT, linewidth=0.6, alpha=0.35, linestyle=(0, (1, 3)))
    _dress(axes, len(simulated))
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=160)
    print(f"wrote {path}", file=sys.stderr)


def _dress(axes: Axes, worlds: int) -> None:
    axes.set(xlim=(0, MARKS[-1]), xticks=[0, *MARKS], xlabel="experiments", ylabel="val bits per byte of the incumbent")
    axes.set_title(
        f"One change at a time, keep if better: {worlds} drawn worlds and the one H100",
        loc="left", fontsize=11.5, fontweight="bold", color=INK,
    )  # fmt: skip
    axes.tick_params(colors=SOFT)
    axes.grid(axis="y", color="#e7e5df", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    from matplotlib.lines import Line2D

    handles.append(Line2D([], [], color=OURS, linewidth=0.7, alpha=0.6))
    axes.legend(handles, [*labels, "single worlds (the first six)"], frameon=False, labelcolor=INK)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="seed of the first world")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    simulated = course(range(arguments.first, arguments.first + arguments.worlds))
    real = published()
    print(table(compare(simulated, real)))
    if arguments.picture:
        draw(simulated, real, arguments.picture)


if __name__ == "__main__":
    main()
