"""The report's pictures: anytime curves, experiments as dots, what the devices did, gains with intervals."""

from __future__ import annotations

from collections.abc import Sequence

from metaloop.edges.report.story import Story, Training, describe
from metaloop.edges.report.style import colour
from metaloop.edges.report.svg import Plot, label, path, picture, staircase, tag, tip
from metaloop.meta.confirmed import gain_at
from metaloop.meta.results import OrganizationResult, OrgRunResult

WIDTH = 1080
LABEL_GAP = 15.0
"""Least distance between two labels, in pixels."""
LABEL_SHIFTS = (16.0, 30.0, -14.0, 44.0, -28.0, 58.0, -42.0, 72.0, -56.0)
"""Where a label is tried, in pixels below its dot."""
MOST_KEPT_LABELS = 14
MOST_DISCARDS = 3000
"""Grey dots in a picture; a page with a hundred thousand of them would not open."""
ROOM_ABOVE = 0.35
"""Scores further above the baseline than this share of the picture's range are clipped to its upper edge."""


def anytime_chart(organizations: Sequence[OrganizationResult], budget_hours: float) -> str:
    """Confirmed best-so-far gain over GPU-hours: mean over org runs bold, single org runs faint, controls dashed."""
    shown = [o for o in organizations if any(run.anytime for run in o.org_runs)]
    ends = [run.gpu_hours for o in shown for run in o.org_runs]
    tops = [point.gain_bpb for o in shown for run in o.org_runs for point in run.anytime]
    end = max([budget_hours, *ends])
    plot = Plot(70, 40, WIDTH - 170, 380, 0.0, end, 0.0, 1.08 * max([*tops, 1e-6]))
    parts = [plot.axes("GPU-hours (allocated)", "confirmed gain, best so far (bpb)")]
    names: list[tuple[float, str, str]] = []
    for index, organization in enumerate(organizations):
        curves = [run.anytime for run in organization.org_runs if run.anytime]
        if not curves:
            continue
        style, dashed = f"stroke: {colour(index)}", " control" if organization.control else ""
        for curve in curves if len(curves) > 1 else ():
            parts.append(path(_steps(plot, [(p.gpu_hours, p.gain_bpb) for p in curve], end), f"run{dashed}", style))
        times = sorted({point.gpu_hours for curve in curves for point in curve})
        mean = [(t, sum(gain_at(curve, t) for curve in curves) / len(curves)) for t in times]
        line = path(_steps(plot, mean, end), f"curve{dashed}", style)
        parts.append(tip(line, f"{organization.name}: {mean[-1][1]:+.4f} bpb"))
        names.append((plot.y(mean[-1][1]), organization.name, f"fill: {colour(index)}"))
    for y, name, style in _spread(names):
        parts.append(tag("g", label(shorten(name, 24), plot.right + 8, y + 4, "name"), style=style))
    return picture("".join(parts), WIDTH, 430, "Confirmed gain over GPU-hours, by organization")


def _steps(plot: Plot, points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    return [(plot.x(x), plot.y(y)) for x, y in staircase(points, end)]


def _spread(labels: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Labels moved down until none covers another."""
    spread: list[tuple[float, str, str]] = []
    for y, name, style in sorted(labels):
        low = spread[-1][0] + LABEL_GAP if spread else y
        spread.append((max(y, low), name, style))
    return spread


def shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def gain_chart(organizations: Sequence[OrganizationResult]) -> str:
    """Every organization's gain as a dot with its interval, a small dot for each org run."""
    shown = [(index, o) for index, o in enumerate(organizations) if o.gain_bpb is not None]
    values = [v for _, o in shown for v in (o.gain_bpb or 0.0, *(o.gain_ci95 or ()))]
    values += [run.gain_bpb for _, o in shown for run in o.org_runs if run.gain_bpb is not None]
    low, high = min([0.0, *values]), max([1e-6, *values])
    height = 60 + 34 * len(shown)
    plot = Plot(210, 16, WIDTH - 40, height - 44, low - 0.03 * (high - low), high + 0.03 * (high - low), 0.0, 1.0)
    parts = [plot.horizontal("confirmed gain (bpb), 95 % interval")]
    parts.append(tag("line", x1=plot.x(0.0), x2=plot.x(0.0), y1=plot.top - 6, y2=plot.bottom, class_="zero"))
    for row, (index, organization) in enumerate(shown):
        y = plot.top + 14 + 34 * row
        stroke = f"stroke: {colour(index)}; fill: {colour(index)}"
        name = organization.name + (" (control)" if organization.control else "")
        parts.append(label(shorten(name, 30), plot.left - 14, y + 4, "name", "end"))
        for run in organization.org_runs if len(organization.org_runs) > 1 else ():
            if run.gain_bpb is not None:
                dot = tag("circle", cx=plot.x(run.gain_bpb), cy=y + 8, r=2.5, style=stroke, opacity=0.5)
                parts.append(tip(dot, f"seed {run.seed}: {run.gain_bpb:+.4f}"))
        if organization.gain_ci95:
            left, right = (plot.x(v) for v in organization.gain_ci95)
            parts.append(tag("line", x1=left, x2=right, y1=y, y2=y, class_="whisker", style=stroke))
        dot = tag("circle", cx=plot.x(organization.gain_bpb or 0.0), cy=y, r=5.5, style=stroke)
        parts.append(tip(dot, f"{name}: {organization.gain_bpb:+.4f} bpb"))
    return picture("".join(parts), WIDTH, height, "Confirmed gain of every organization with its interval")


def experiments_chart(story: Story, result: OrgRunResult | None) -> str:
    """Every first training as a dot over GPU-hours: discards grey, failures crossed, keeps green and labelled."""
    dots = thin([t for t in story.trainings if t.first])
    best = story.best_so_far()
    low, high = score_range([t.bpb for t in dots if t.bpb is not None], [value for _, value in best])
    end = max([story.account.allocated_s / 3600, *(t.gpu_hours for t in dots), 1e-9])
    plot = Plot(70, 40, WIDTH - 30, 400, 0.0, end * 1.005, low, high)
    parts = [plot.axes("GPU-hours (allocated)", "validation bpb of each training (lower is better)")]
    line = [(t.gpu_hours, value) for t, value in best]
    if line:
        parts.append(path(_steps(plot, line, end), "best"))
    false = {m.commit for m in result.merge_records if m.false_merge} if result else set()
    confirmed = {m.commit: m.confirmed_delta for m in result.merge_records} if result else {}
    for training in sorted(dots, key=lambda t: t.fate == "merged"):
        parts.append(_dot(plot, training, training.commit in false, confirmed.get(training.commit or "")))
    parts += _kept_labels(plot, [t for t in dots if t.fate == "merged" and t.bpb is not None], false)
    return picture("".join(parts), WIDTH, 450, f"Experiments of {story.name}")


def thin(trainings: Sequence[Training]) -> list[Training]:
    """All trainings, but of very many discards only every so many."""
    plain = [t for t in trainings if t.fate == "discarded"]
    every = max(1, -(-len(plain) // MOST_DISCARDS))
    dropped = {t.number for place, t in enumerate(plain) if place % every}
    return [t for t in trainings if t.number not in dropped]


def score_range(scores: Sequence[float], best: Sequence[float]) -> tuple[float, float]:
    """The range that shows what matters: from the best up to a little above the baseline; outliers are clipped."""
    if not scores:
        return 0.0, 1.0
    low, start = min(scores), max(best) if best else sorted(scores)[len(scores) // 2]
    span = max(start - low, 1e-3)
    high = min(max(scores), start + ROOM_ABOVE * span)
    return low - 0.14 * span, max(high, start) + 0.05 * span


def _dot(plot: Plot, training: Training, false: bool, confirmed: float | None) -> str:
    x, bpb = plot.x(training.gpu_hours), training.bpb
    if bpb is None:
        y = plot.top + 6
        kind = "stopped" if training.result.state == "stopped" else "failed"
        cross = path([(x - 3.5, y - 3.5), (x + 3.5, y + 3.5)], kind) + path(
            [(x - 3.5, y + 3.5), (x + 3.5, y - 3.5)], kind
        )
        return tip(cross, about(training, confirmed))
    kind = {"merged": "kept", "incumbent": "incumbent", "branch": "branch"}.get(training.fate, "discarded")
    kind = "false" if false else kind
    radius = {"kept": 6.0, "false": 6.0, "incumbent": 4.5}.get(kind, 3.2)
    return tip(tag("circle", cx=x, cy=plot.y(bpb), r=radius, class_=kind), about(training, confirmed))


def about(training: Training, confirmed: float | None) -> str:
    """The tooltip of a training."""
    score = f"{training.bpb:.4f} bpb" if training.bpb is not None else training.result.state
    lines = [f"{training.experiment.id}: {describe(training.changes, 6) or training.experiment.purpose}, {score}"]
    if training.author:
        lines.append(f"by {training.author}: {training.proposal.hypothesis if training.proposal else ''}")
    if training.delta is not None:
        lines.append(f"measured {training.delta:+.4f}, {training.fate}. {training.reason}")
    if confirmed is not None:
        lines.append(f"confirmed {confirmed:+.4f}")
    return "\n".join(lines)


def _kept_labels(plot: Plot, kept: Sequence[Training], false: set[str]) -> list[str]:
    """What the kept changes were, beside their dots, where there is room: the largest improvements first."""
    parts: list[str] = []
    by_size = sorted(kept, key=lambda t: t.delta if t.delta is not None else 0.0)
    dots = [(plot.x(t.gpu_hours), plot.y(t.bpb or 0.0)) for t in by_size]
    texts = [shorten(describe(t.changes), 44) for t in by_size[:MOST_KEPT_LABELS]]
    places = place_labels(dots, [6.3 * len(text) for text in texts], plot.right, (plot.top, plot.bottom - 4))
    for training, text, (x, y), place in zip(by_size, texts, dots, places, strict=False):
        if place is not None:
            left, at = place
            kind = "false-label" if training.commit in false else "kept-label"
            parts.append(path([(x, y), (x + (-9 if left < x else 9), at - 4)], "leader"))
            parts.append(label(text, left, at, kind))
    return parts


def place_labels(
    dots: Sequence[tuple[float, float]], widths: Sequence[float], right: float, limits: tuple[float, float]
) -> list[tuple[float, float] | None]:
    """Left end and baseline of a label for each of the first dots (y grows downward), ``None`` where there is no room.

    A label stands right of its dot, left of it near the edge, and moves up or down until it covers neither a dot
    nor an earlier label.
    """
    taken = [(x - 6, x + 6, y) for x, y in dots]
    places: list[tuple[float, float] | None] = []
    for (x, y), width in zip(dots, widths, strict=False):
        left = x - 12 - width if x + 12 + width > right else x + 12
        found = None
        for shift in LABEL_SHIFTS:
            at = y + shift
            clear = all(left > b or left + width < a or abs(at - 4 - v) >= LABEL_GAP - 3 for a, b, v in taken)
            if clear and limits[0] < at < limits[1]:
                found = (left, at)
                taken.append((left, left + width, at - 4))
                break
        places.append(found)
    return places
