"""One frame of ``metaloop top``: what a person reads off a run in a second."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from metaloop.meta.watching import DeviceNow, OrgRunNow, RunNow

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

BAR = 10
"""Cells of the bar of spend against budget; half as many where there is little room."""
MOST_ROWS = 24
MOST_DEVICES = 16
"""Beyond these, org runs and devices are counted and not listed: a frame has to fit a terminal."""
WIDE = 118
"""Columns of a terminal that has room for everything."""
NARROW = ("organization", "seed", "state", "busy", "trained", "trunk", "gain", "spent")
"""What remains where there is less."""
STYLES = {
    "running": "green",
    "silent": "bold red",
    "confirming": "cyan",
    "ended": "cyan",
    "confirmed": "dim",
    "waiting": "dim",
}


def frame(now: RunNow, width: int) -> RenderableType:
    """The whole frame, for a terminal of so many columns."""
    from rich.console import Group

    running = [each for each in now.org_runs if each.phase in ("running", "silent")]
    parts: list[RenderableType] = [_title(now), _org_runs(now.org_runs, width)]
    parts += [_devices(each) for each in running]
    parts.append(_notes(now))
    return Group(*parts)


def _title(now: RunNow) -> str:
    state = "finished" if now.finished else f"[bold]{now.org_runs_ended}[/] of {now.org_runs_planned} org runs ended"
    spent = f"{now.spent_gpu_hours:.4g} of {now.budget_gpu_hours:.4g} GPU-hours"
    thinking = f" · {now.tokens:,} tokens · ${now.usd:.2f}" if now.tokens or now.usd else ""
    left = f" · about {_time(now.eta_s)} to go" if now.eta_s else ""
    return f"[bold]{now.path}[/] · {state} · {spent}{thinking}{left}"


def _org_runs(org_runs: tuple[OrgRunNow, ...], width: int) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    rows = [_row(each, BAR if width >= WIDE else BAR // 2) for each in sorted(org_runs, key=_order)]
    names = tuple(name for name in (rows[0] if rows else NARROW) if width >= WIDE or name in NARROW)
    for name in names:
        table.add_column(name, justify="left" if name in ("organization", "state", "spent") else "right", no_wrap=True)
    for row in rows[:MOST_ROWS]:
        table.add_row(*(row[name] for name in names))
    if len(rows) > MOST_ROWS:
        table.add_row(f"… and {len(rows) - MOST_ROWS} more")
    return table


def _order(each: OrgRunNow) -> int:
    """What goes on comes first."""
    return ("running", "silent", "confirming", "ended", "confirmed", "waiting").index(each.phase)


def _row(each: OrgRunNow, cells: int) -> dict[str, str]:
    """Column to cell, in the order of the columns."""
    style = STYLES[each.phase]
    state = f"silent {_time(each.silent_s)}" if each.phase == "silent" else each.phase
    stage = f"{each.stage}/" if each.stage else ""
    return {
        "organization": f"{stage}{each.organization}",
        "seed": str(each.seed),
        "state": f"[{style}]{state}[/]" + (f" ({each.confirmations})" if each.phase == "confirming" else ""),
        "busy": f"{each.busy}/{each.held}" if each.devices else "",
        "queue": str(each.queue) if each.devices else "",
        "trained": str(each.experiments),
        "merged": str(each.merges),
        "start": _number(each.baseline_bpb),
        "trunk": _number(each.trunk_bpb),
        "gain": _number(each.gain_val_bpb, sign=True),
        "per GPU-h": _number(each.gain_val_per_gpu_hour, digits=1, sign=True),
        "spent": _bar(each.spent_gpu_hours, each.budget_gpu_hours, cells),
        "used": f"{each.utilization:.0%}",
        "ETA": _time(each.eta_s) if each.eta_s is not None else "",
    }


def _devices(each: OrgRunNow) -> Table:
    """Who has which device, and since when."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False, title=f"{each.organization} seed {each.seed}")
    table.title_justify, table.title_style = "left", "dim"
    for device in _first(each.devices):
        whom = device.author or "the harness" if device.experiment else ""
        work = f"{device.purpose} {device.experiment}" if device.experiment else "[yellow]idle[/]"
        since = _time(device.seconds) if device.experiment else ""
        table.add_row(f"  {device.device}", work, f"for {whom}" if whom else "", since)
    if len(each.devices) > MOST_DEVICES:
        more = each.held - MOST_DEVICES * each.devices_per_experiment
        table.add_row(f"  … and {more} more: {each.busy} of {each.held} are busy")
    return table


def _first(devices: Iterable[DeviceNow]) -> list[DeviceNow]:
    """Idle ones first: they are what to look into."""
    return sorted(devices, key=lambda device: bool(device.experiment))[:MOST_DEVICES]


def _notes(now: RunNow) -> str:
    finished = "" if now.finished else " ETA: until the budgets are spent, without confirmation."
    return (
        "[dim]start, trunk, gain: bpb as the organization sees it, on its own seeds and the validation split; only "
        f"confirmation says what it is worth.{finished}[/]"
    )


def _number(value: float | None, digits: int = 4, sign: bool = False) -> str:
    if value is None:
        return ""
    return f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"


def _bar(spent: float, budget: float, cells: int) -> str:
    share = spent / budget if budget > 0 else 1.0
    full = min(cells, round(share * cells))
    return f"[{'green' if share < 1 else 'dim'}]{'━' * full}[/][dim]{'╌' * (cells - full)}[/] {share:4.0%}"


def _time(seconds: float | None) -> str:
    """``42 s``, ``3:05``, ``2:10:00``."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
