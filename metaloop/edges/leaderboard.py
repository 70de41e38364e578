"""The leaderboard on a terminal: organizations over one or several run folders, the best first."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from metaloop.edges.leaderboard_cells import Column, false_share, hours, plus_minus, rate, signed, versus
from metaloop.edges.thinking_table import COLUMNS, TITLE, anybody_thinks, thinking_notes
from metaloop.files.run_folder import RunTerms
from metaloop.meta.measure import measure_run, rank
from metaloop.meta.results import OrganizationResult, Results, hardware_of
from metaloop.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

PIPED_WIDTH = 160
"""Columns where standard output is no terminal."""
NARROW, WIDE = 100, 150
"""Columns of the terminal from which on the comparison, and the secondary measures, find room; ``--json`` and the
report have them all."""


class Leaderboard(msgspec.Struct, frozen=True):
    """What ``compare --json`` prints. ``warnings`` says where the comparison is not on equal terms."""

    organizations: tuple[OrganizationResult, ...]
    folders: tuple[str, ...]
    warnings: tuple[str, ...]


def run_folders(path: Path) -> list[Path]:
    """The run folders at ``path``: itself, or the generations of an evolution.

    Raises:
        UsageError: there is none.
    """
    if (path / "run.json").exists():
        return [path]
    inside = sorted(path.glob("*/run.json"), key=lambda file: file.stat().st_mtime)
    if not inside:
        raise UsageError(f"{path} holds no run: there is no run.json in it. Name a folder that `metaloop run` made.")
    return [file.parent for file in inside]


def measure_all(paths: Sequence[Path]) -> list[Results]:
    """The results of every run folder at ``paths``."""
    return [measure_run(folder) for path in paths for folder in run_folders(path)]


def combine(results: Sequence[Results]) -> Leaderboard:
    """All organizations in one ranking; a name that several folders use is told apart by its folder."""
    folders = tuple(result.out for result in results)
    if len(results) == 1:
        return Leaderboard(results[0].organizations, folders, unlike(results[0].organizations))
    names = Counter(o.name for result in results for o in result.organizations)
    entries = [
        msgspec.structs.replace(o, name=f"{o.name} ({Path(result.out).name})") if names[o.name] > 1 else o
        for result in results
        for o in result.organizations
    ]
    warnings = (*_differences([result.terms for result in results]), *unlike(entries))
    return Leaderboard(rank(entries), folders, warnings)


def unlike(organizations: Sequence[OrganizationResult]) -> tuple[str, ...]:
    """A line if org runs were on different kinds of devices; those whose journals do not say are left out."""
    kinds = Counter(" and ".join(run.hardware) for o in organizations for run in o.org_runs if run.hardware)
    if len(kinds) < 2:
        return ()
    found = "; ".join(f"{count} on {kind}" for kind, count in sorted(kinds.items()))
    return (
        f"the org runs were not all on the same hardware, so that their gains are not on equal terms: {found}. "
        "Compare those on one kind, or run anew with --accelerator NAME.",
    )


def _differences(terms: Sequence[RunTerms]) -> tuple[str, ...]:
    """Terms in which the folders differ, so that their gains are not on equal terms."""
    fields = ("trainer", "preset", "data", "gpu_hours", "devices", "devices_per_experiment")
    values = {field: sorted({str(getattr(t, field)) for t in terms}) for field in fields}
    return tuple(
        f"the folders differ in {field}: {', '.join(found)}" for field, found in values.items() if len(found) > 1
    )


def print_leaderboard(results: Sequence[Results]) -> None:
    """The table on standard output, remarks on standard error."""
    from rich.console import Console

    board = combine(results)
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    console = Console(width=width, highlight=False)
    console.print(_table(board.organizations, results[0].terms, console.width))
    for line in footnotes(board):
        console.print(line, style="dim", markup=False)
    if anybody_thinks(board.organizations):
        console.print(_thinking_table(board.organizations))
        for line in thinking_notes(board.organizations):
            console.print(line, style="dim", markup=False)
    for warning in board.warnings:
        print(f"metaloop: {warning}", file=sys.stderr)


def _table(organizations: Sequence[OrganizationResult], terms: RunTerms, width: int) -> Table:
    from rich import box
    from rich.table import Table

    title = (
        f"{terms.trainer} {terms.preset}, {terms.gpu_hours:.3g} GPU-hours on {terms.devices_in_words} for each org run"
    )
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    columns = [*_FIRST, *(_VERSUS if width >= NARROW else ()), *(_MORE if width >= WIDE else ())]
    return _filled(table, organizations, columns)


def _thinking_table(organizations: Sequence[OrganizationResult]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=TITLE, title_justify="left", title_style="bold", pad_edge=False)
    return _filled(table, organizations, COLUMNS)


def _filled(table: Table, organizations: Sequence[OrganizationResult], columns: Sequence[Column]) -> Table:
    from rich.text import Text

    table.add_column("organization", no_wrap=True, overflow="ellipsis")
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for organization in organizations:
        label = Text(organization.name, style="" if organization.control else "bold")
        if organization.control:
            label.append(" control", style="yellow")
        table.add_row(label, *(cell(organization) for _, cell in columns))
    return table


def footnotes(board: Leaderboard) -> list[str]:
    """What the columns mean, and what is missing."""
    hardware = hardware_of(board.organizations)
    over = sorted({o.interval_over for o in board.organizations if o.gain_ci95 is not None})
    lines = [
        "gain: confirmed improvement in bits per byte on unseen data, fresh paired seeds; 95 % t interval over "
        + " or ".join(over or ["org runs"])
    ]
    if hardware:
        lines.append(f"trained on {', '.join(hardware)}")
    compared = next((o.versus_control for o in board.organizations if o.versus_control), None)
    if compared:
        lines.append(f"vs control: paired difference to {compared.other}, the strongest control")
    unfinished = [o.name for o in board.organizations if any(not run.finished for run in o.org_runs) or not o.org_runs]
    if unfinished:
        lines.append(f"not finished or not confirmed yet: {', '.join(unfinished)}")
    dropped = sum(run.pairs_dropped for o in board.organizations for run in o.org_runs)
    if dropped:
        lines.append(f"{dropped} confirmation pairs were dropped because a training in them failed")
    return lines


_FIRST: tuple[Column, ...] = (
    ("gain ± 95 %", lambda o: plus_minus(o.gain_bpb, o.gain_ci95)),
    ("per GPU-h", lambda o: rate(o.gain_per_gpu_hour)),
    ("trained", lambda o: str(o.experiments)),
    ("false merges", false_share),
)
_VERSUS: tuple[Column, ...] = (("vs control", versus),)
_MORE: tuple[Column, ...] = (
    ("GPU-h", lambda o: hours(o.gpu_hours)),
    ("used", lambda o: f"{o.utilization:.1%}"),
    ("area", lambda o: signed(o.anytime_area)),
    ("h to control", lambda o: hours(o.gpu_hours_to_best_control)),
)
