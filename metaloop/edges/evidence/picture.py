"""The picture beside EVIDENCE.md, one panel for each world: mean anytime curves with intervals; where trunks were
confirmed at their ends alone, the ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from metaloop.edges.evidence.phrases import target
from metaloop.meta.evidence.anytime import Curve
from metaloop.meta.evidence.report import Evidence, Standing, World

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, FAINT = "#1d2129", "#5c6470", "#e7e5df"
EVOLVED, PARENT = "#2f5fd0", "#d9730d"
OTHERS = ("#1a7f4b", "#a8328f", "#b4342d", "#0f8390", "#7a5af0", "#84730b")
PANEL, HEIGHT = 6.4, 4.6
"""Inches of one world."""
BAND = 0.14
"""Opacity of an interval; controls have half of it."""
WIDEST_BAND = 2.0
"""Highest end of an interval that is given room, over the highest mean."""
LABEL_GAP = 0.052
"""Least distance between two labels, as a share of the panel's height."""


class Look(NamedTuple):
    """How a curve is drawn."""

    colour: str
    width: float
    dash: str


def draw(evidence: Evidence, path: Path) -> None:
    """Draw the worlds side by side; the file's ending says in which format. The same evidence gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    worlds = [world for world in evidence.worlds if not in_part(world)]
    shown = looks(evidence.worlds)
    with mpl.rc_context({"svg.hashsalt": evidence.name}):
        figure = Figure(figsize=(PANEL * max(1, len(worlds)), HEIGHT), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        for axes, world in zip(figure.subplots(1, max(1, len(worlds)), squeeze=False)[0], worlds, strict=False):
            if world.terms.confirm == "trunk":
                _curves(axes, world, shown)
            else:
                _ends(axes, ends(world, evidence.worlds), shown)
            _title(axes, world)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def looks(worlds: Sequence[World]) -> dict[str, Look]:
    """Evolved bold, parent plain, twins dotted, controls dashed; an organization looks the same in every world."""
    found: dict[str, Look] = {}
    standings = [standing for world in worlds for standing in world.standings]
    controls = sorted({s.name for s in standings if s.part == "control"})
    for standing in standings:
        if standing.part == "evolved":
            found[standing.name] = Look(EVOLVED, 2.8, "-")
        elif standing.part == "parent":
            found[standing.name] = Look(PARENT, 2.0, "-")
        elif standing.part == "twin":
            found[standing.name] = Look(SOFT, 1.4, ":")
        else:
            found[standing.name] = Look(OTHERS[controls.index(standing.name) % len(OTHERS)], 1.5, "--")
    return found


def in_part(world: World) -> bool:
    """Whether the evolved organization had only a part of the GPU-hours there."""
    return world.evolved_gpu_hours < world.terms.gpu_hours


def ends(world: World, worlds: Sequence[World]) -> list[tuple[str, Standing]]:
    """Rows of a panel of ends, the least gain first: everybody, and the evolved one on a part of the GPU-hours."""
    rows = [(standing.name, standing) for standing in world.standings]
    for other in worlds:
        if in_part(other) and other.terms == world.terms:
            share = f"{other.evolved_gpu_hours / other.terms.gpu_hours:.0%} of the GPU-hours"
            rows += [(f"{s.name},\n{share}", s) for s in other.standings if s.part == "evolved"]
    return sorted((row for row in rows if row[1].gain_bpb is not None), key=lambda row: row[1].gain_bpb or 0.0)


def _ends(axes: Axes, rows: Sequence[tuple[str, Standing]], shown: dict[str, Look]) -> None:
    for place, (_, standing) in enumerate(rows):
        gain, colour = standing.gain_bpb or 0.0, shown[standing.name].colour
        low, high = standing.ci95 or (gain, gain)
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="round")
        axes.plot([gain], [place], "o", color=colour, markersize=9)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("confirmed gain at the end (bits per byte; bar: 95 % t interval)", color=SOFT)
    _dress(axes, "x")
    for label, (_, standing) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(shown[standing.name].colour)


def _curves(axes: Axes, world: World, shown: dict[str, Look]) -> None:
    hours = world.anytime.gpu_hours
    for curve in world.anytime.curves:
        look = shown[curve.organization]
        axes.step(hours, curve.mean, where="post", color=look.colour, linewidth=look.width, linestyle=look.dash)
        if curve.low:
            shade = BAND if look.dash == "-" else BAND / 2
            axes.fill_between(hours, curve.low, curve.high, step="post", color=look.colour, alpha=shade, linewidth=0)
    axes.set_ylim(0.0, top(world.anytime.curves))
    axes.set_xlim(0.0, hours[-1])
    axes.axvline(world.terms.gpu_hours, color=FAINT, linewidth=1.2)
    _arrival(axes, world)
    axes.set_xlabel("allocated GPU-hours of one org run (line: the budget)", color=SOFT)
    axes.set_ylabel("confirmed gain, best so far (bits per byte)", color=SOFT)
    axes.locator_params(axis="x", nbins=6)
    _dress(axes, "y")
    _labels(axes, world.anytime.curves, hours[-1], shown)


def top(curves: tuple[Curve, ...]) -> float:
    """Room for all means, and for bands as far as they are not so wide (of two org runs, say) that means would lie flat
    on the ground: those run out of the picture."""
    means = max([value for curve in curves for value in curve.mean] + [1e-6])
    bands = max([value for curve in curves for value in curve.high] + [0.0])
    return 1.06 * max(means, min(bands, WIDEST_BAND * means))


def _arrival(axes: Axes, world: World) -> None:
    """Where the strongest control ends, and when the evolved organization is there."""
    evolved = next((s.name for s in world.standings if s.part == "evolved"), "")
    time = next((t for t in world.hours_to_control if t.organization == evolved), None)
    if time is None:
        return
    axes.axhline(time.target_bpb, color=SOFT, linewidth=0.9, linestyle=(0, (1, 2)))
    said = f"dotted: where {time.control} ends"
    if time.gpu_hours is not None:
        axes.plot([time.gpu_hours], [time.target_bpb], "o", color=EVOLVED, markersize=7, zorder=4, clip_on=False)
        said += f", reached after {time.share:.0%} of the budget"
    axes.annotate(said, (0.0, 1.0), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", color=SOFT)


def _title(axes: Axes, world: World) -> None:
    runs = sorted({standing.n for standing in world.standings if standing.n})
    number = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}" if runs else "0"
    title = f"{world.name}\n{target(world.terms)}, n = {number} org runs"
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=22)


def _dress(axes: Axes, grid: Literal["x", "y"]) -> None:
    axes.grid(axis=grid, color=FAINT)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)


def _labels(axes: Axes, curves: tuple[Curve, ...], end: float, shown: dict[str, Look]) -> None:
    """Names at the curves' ends, moved up where they would cover each other."""
    height = axes.get_ylim()[1]
    at = -LABEL_GAP
    for curve in sorted(curves, key=lambda curve: curve.mean[-1]):
        at = max(curve.mean[-1] / height, at + LABEL_GAP)
        look = shown[curve.organization]
        axes.annotate(
            curve.organization,
            (end, at * height),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
            fontweight="bold" if look.width > 2.5 else "normal",
            color=look.colour,
            annotation_clip=False,
        )
