"""Showing how far the simulator is from reality: a table and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from metaloop.edges.outcome import print_json
from metaloop.meta.fidelity import Compared, Fidelity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, FAINT, BLUE = "#1d2129", "#5c6470", "#e7e5df", "#2f5fd0"


def show_fidelity(fidelity: Fidelity, out: Path, as_json: bool) -> None:
    """Draw the picture, and print one JSON object or the table."""
    draw_fidelity(fidelity, out / "fidelity.svg")
    if as_json:
        print_json(fidelity)
        return
    _print_table(fidelity)
    click.echo("\n".join(summary(fidelity)))
    click.echo(f"\nStored in {out / 'fidelity.json'}, drawn in {out / 'fidelity.svg'}")


def summary(fidelity: Fidelity) -> list[str]:
    """The figures of the whole comparison, one a line."""
    low, high = fidelity.tau_ci95
    ceiling = (
        ""
        if fidelity.tau_ceiling is None
        else f"; half the real seeds against the other half {fidelity.tau_ceiling:.2f}"
    )
    agree = "agree" if fidelity.best_agrees else "differ"
    return [
        f"Kendall's tau of the ranking    {fidelity.tau:.2f} [{low:.2f}, {high:.2f}]{ceiling}",
        f"best organization               {agree}: real {fidelity.best_real}, simulated {fidelity.best_simulated}",
        f"mean absolute gain error        {fidelity.gain_error:.1%} (a perfect simulator: about "
        f"{fidelity.gain_error_floor:.1%}, as org runs differ)",
        f"largest utilization difference  {100 * fidelity.utilization_error:.1f} points",
        f"mean absolute errors            makespan {fidelity.makespan_error:.1%}, experiments "
        f"{fidelity.experiments_error:.1%}, merges {fidelity.merges_error:.1%}",
    ]


def _print_table(fidelity: Fidelity) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{fidelity.seeds} org runs each: real / simulated (difference)", title_justify="left")
    table.add_column("organization")
    for name in ("gain (bpb)", "utilization", "makespan (s)", "experiments", "merges", "false"):
        table.add_column(name, justify="right")
    for o in sorted(fidelity.organizations, key=lambda o: -o.gain.real.mean):
        table.add_row(
            o.name,
            _cell(o.gain, "{:.3f}", relative=True),
            _cell(o.utilization, "{:.3f}"),
            _cell(o.makespan_s, "{:.1f}", relative=True),
            _cell(o.experiments, "{:.1f}", relative=True),
            _cell(o.merges, "{:.1f}", relative=True),
            _cell(o.false_merges, "{:.2f}"),
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=150)
    console.print(table)


def _cell(compared: Compared, form: str, *, relative: bool = False) -> str:
    values = f"{form.format(compared.real.mean)} / {form.format(compared.simulated.mean)}"
    if compared.error is None:
        return values
    return f"{values} ({compared.error:+.0%})" if relative else f"{values} ({compared.error:+.3f})"


def draw_fidelity(fidelity: Fidelity, path: Path) -> None:
    """Simulated against real gain, utilization and experiments, with 95 % intervals; the diagonal is perfection."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, 4.6), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots(1, 3)
    low, high = fidelity.tau_ci95
    _scatter(
        axes[0],
        [(o.name, o.gain) for o in fidelity.organizations],
        f"gain (bpb): tau {fidelity.tau:.2f} [{low:.2f}, {high:.2f}]",
    )
    _scatter(axes[1], [(o.name, o.utilization) for o in fidelity.organizations], "device utilization")
    _scatter(axes[2], [(o.name, o.experiments) for o in fidelity.organizations], "experiments of an org run")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _scatter(axes: Axes, points: list[tuple[str, Compared]], title: str) -> None:
    for rank, (name, compared) in enumerate(sorted(points, key=lambda p: p[1].simulated.mean)):
        x, y = compared.real.mean, compared.simulated.mean
        if compared.real.ci95 is not None:
            axes.plot(compared.real.ci95, [y, y], color=BLUE, alpha=0.35, linewidth=1.2)
        if compared.simulated.ci95 is not None:
            axes.plot([x, x], compared.simulated.ci95, color=BLUE, alpha=0.35, linewidth=1.2)
        axes.plot([x], [y], "o", color=BLUE, markersize=5)
        below = rank % 2  # neighbours in height are labelled on different sides of their dots
        offset, side = ((6, -11), "left") if below else ((-6, 5), "right")
        axes.annotate(name, (x, y), xytext=offset, textcoords="offset points", fontsize=8, color=INK, ha=side)
    low = min(axes.get_xlim()[0], axes.get_ylim()[0])
    high = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([low, high], [low, high], color=SOFT, linewidth=0.8, linestyle="--")
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold", color=INK)
    axes.set_xlabel("real", color=SOFT)
    axes.set_ylabel("simulated", color=SOFT)
    axes.grid(color=FAINT)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
