"""Cells of the comparison: how gains, rates, shares and hours are written, on the terminal and in the report."""

from __future__ import annotations

from collections.abc import Callable

from metaloop.meta.results import OrganizationResult

Column = tuple[str, Callable[[OrganizationResult], str]]
"""A heading, and what stands below it."""


def signed(value: float | None, digits: int = 4) -> str:
    """``+0.0123``; a dash where there is no value."""
    return "–" if value is None else f"{value:+.{digits}f}"


def rate(value: float | None) -> str:
    """``+23.19`` or ``+0.00064``: two decimals, or three significant digits where that says more."""
    if value is None:
        return "–"
    return f"{value:+.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:+.3g}"


def interval(ci95: tuple[float, float] | None, digits: int = 4) -> str:
    """``[+0.0100, +0.0150]``; empty where there is none."""
    return "" if ci95 is None else f"[{ci95[0]:+.{digits}f}, {ci95[1]:+.{digits}f}]"


def plus_minus(value: float | None, ci95: tuple[float, float] | None) -> str:
    """``+0.0123 ± 0.0021``: a t interval is symmetric, so its half width says it all."""
    return f"{signed(value)} ± {(ci95[1] - ci95[0]) / 2:.4f}" if ci95 else signed(value)


def versus(organization: OrganizationResult) -> str:
    """Difference to the strongest control, with its interval."""
    against = organization.versus_control
    return plus_minus(against.difference_bpb, against.ci95) if against else "–"


def false_share(organization: OrganizationResult) -> str:
    """``2 of 7``."""
    return f"{organization.false_merges} of {organization.merges}" if organization.merges else "–"


def hours(value: float | None) -> str:
    """GPU-hours with three significant digits."""
    return "–" if value is None else f"{value:.3g}"
