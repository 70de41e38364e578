"""One picture of a run as a PNG, for a README: anytime curves beside the experiments of the best organization."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaloop.edges.report import stories
from metaloop.edges.report.charts import score_range
from metaloop.edges.report.story import Story, Training, describe
from metaloop.meta.confirmed import gain_at
from metaloop.meta.measure import measure_run
from metaloop.meta.results import OrganizationResult, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#2f5fd0", "#d9730d", "#1a7f4b", "#a8328f", "#b4342d", "#0f8390", "#7a5af0", "#84730b")
INK, SOFT, FAINT, DOT, KEEP, BAD = "#1d2129", "#5c6470", "#e7e5df", "#b9bcc2", "#1a7f4b", "#c2410c"
MOST_LABELS = 6


def write_png(path: Path, target: Path) -> None:
    """Draw the run in folder ``path`` into ``target``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    results = measure_run(path)
    figure = Figure(figsize=(13.0, 4.9), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _anytime(left, results)
    best = _subject(results)
    story = stories(results).get((best.name, best.org_runs[0].seed)) if best else None
    if story is not None and best is not None:
        false = {m.commit for m in best.org_runs[0].merge_records if m.false_merge}
        _experiments(right, story, false)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)


def _subject(results: Results) -> OrganizationResult | None:
    """The organization whose experiments are shown: the best that is no control, else the best."""
    begun = [o for o in results.organizations if o.org_runs]
    return next((o for o in begun if not o.control), begun[0] if begun else None)


def _dress(axes: Axes, title: str, x: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_xlabel(x, color=SOFT)
    axes.grid(axis="y", color=FAINT)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)


def _anytime(axes: Axes, results: Results) -> None:
    """Mean confirmed best-so-far gain over GPU-hours; controls dashed."""
    ends = [run.gpu_hours for o in results.organizations for run in o.org_runs]
    end = max([results.terms.gpu_hours, *ends])
    for index, organization in enumerate(results.organizations):
        curves = [run.anytime for run in organization.org_runs if run.anytime]
        if not curves:
            continue
        times = sorted({point.gpu_hours for curve in curves for point in curve})
        mean = [sum(gain_at(curve, t) for curve in curves) / len(curves) for t in times]
        style: dict[str, Any] = {"color": COLOURS[index % len(COLOURS)], "linewidth": 2.2}
        name = organization.name + (" (control)" if organization.control else "")
        axes.step(
            [*times, end], [*mean, mean[-1]], where="post", label=name, linestyle="--" if organization.control else "-",
            **style,
        )  # fmt: skip
    _dress(axes, "Confirmed gain, best so far (bits per byte)", "allocated GPU-hours")
    axes.set_ylim(bottom=0.0)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)


def _experiments(axes: Axes, story: Story, false: set[str]) -> None:
    """Every first training over GPU-hours; keeps green and labelled, the best kept so far as a line."""
    dots = [t for t in story.trainings if t.first and t.bpb is not None]
    best = story.best_so_far()
    low, high = score_range([t.bpb for t in dots if t.bpb is not None], [value for _, value in best])
    for training in dots:
        kept = training.fate == "merged"
        colour = BAD if training.commit in false else KEEP if kept else DOT
        axes.plot(training.gpu_hours, min(training.bpb or 0.0, high), "o", color=colour, ms=7 if kept else 4, zorder=3)
    axes.step([t.gpu_hours for t, _ in best], [v for _, v in best], where="post", color=KEEP, linewidth=1.8)
    axes.set_ylim(low, high)
    axes.margins(x=0.02)
    _dress(axes, f"{story.name}: validation bpb of each training", "allocated GPU-hours")
    _label_kept(axes, [t for t in dots if t.fate == "merged"], false)


def _label_kept(axes: Axes, kept: list[Training], false: set[str]) -> None:
    """Names of the largest kept changes, below and before their dots: under a falling line there is room."""
    left, right = axes.get_xlim()
    for training in sorted(kept, key=lambda t: t.delta if t.delta is not None else 0.0)[:MOST_LABELS]:
        early = training.gpu_hours < left + 0.35 * (right - left)
        axes.annotate(
            _short(describe(training.changes)),
            (training.gpu_hours, training.bpb or 0.0),
            xytext=(-4 if early else -7, -7),
            textcoords="offset points",
            ha="left" if early else "right",
            va="top",
            fontsize=8,
            color=BAD if training.commit in false else KEEP,
        )


def _short(text: str) -> str:
    """The first of several changes, and how many more there are."""
    first, *others = text.split(", ")
    return f"{first} +{len(others)}" if others else first
