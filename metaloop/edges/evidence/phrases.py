"""Numbers and comparisons in words, and Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from metaloop.files.run_folder import RunTerms
from metaloop.meta.evidence.paired import Paired

SIGNIFICANCE = 0.05
"""Corrected p values below it are called a difference."""
NONE = "–"


def bpb(value: float | None) -> str:
    """``+0.0123``; a dash where there is no value."""
    return NONE if value is None else f"{value:+.4f}"


def interval(ci95: tuple[float, float] | None) -> str:
    """``[+0.0100, +0.0150]``; empty where there is none."""
    return "" if ci95 is None else f"[{ci95[0]:+.4f}, {ci95[1]:+.4f}]"


def estimate(value: float | None, ci95: tuple[float, float] | None) -> str:
    """``+0.0123 [+0.0100, +0.0150]``."""
    return f"{bpb(value)} {interval(ci95)}".strip()


def difference(paired: Paired | None) -> str:
    """The paired difference with its interval."""
    return NONE if paired is None else estimate(paired.difference_bpb, paired.ci95)


def p_value(value: float | None) -> str:
    """Two significant digits; nothing smaller than 0.0001 is worth telling apart."""
    return NONE if value is None else "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def p_of(paired: Paired | None) -> str:
    """The corrected p value of the t test; the uncorrected one where the comparison belongs to no family."""
    if paired is None:
        return NONE
    return p_value(paired.p_t if paired.p_t_holm is None else paired.p_t_holm)


def exact_of(paired: Paired | None) -> str:
    """The corrected p value of the sign-flip test; the uncorrected one where there is no family."""
    if paired is None:
        return NONE
    return p_value(paired.p_exact if paired.p_exact_holm is None else paired.p_exact_holm)


def told_apart(paired: Paired | None) -> bool:
    """Whether the two differ by the corrected t test."""
    return paired is not None and paired.p_t_holm is not None and paired.p_t_holm < SIGNIFICANCE


def against(paired: Paired, whom: str) -> str:
    """``+0.1 [..] more than …``, or that the two cannot be told apart."""
    said = f"{abs(paired.difference_bpb):.4f} {'more' if paired.difference_bpb > 0 else 'less'} than {whom}"
    numbers = f"difference {difference(paired)}, p = {p_of(paired)}, sign-flip p = {exact_of(paired)}"
    return f"**{said}** ({numbers})" if told_apart(paired) else f"not told apart from {whom} ({numbers})"


def hours(value: float | None) -> str:
    """GPU-hours with three significant digits."""
    return NONE if value is None else f"{value:.3g}"


def target(terms: RunTerms) -> str:
    """What is trained: ``nanogpt cpu-tiny``."""
    return terms.trainer if terms.trainer == terms.preset else f"{terms.trainer} {terms.preset}"


def percent(value: float | None) -> str:
    """A share without decimals."""
    return NONE if value is None else f"{value:.0%}"


def count(value: float) -> str:
    """A mean number of something: one decimal below 100."""
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.1f}"


def code(text: str) -> str:
    """Text that Markdown leaves alone, in a table too."""
    return f"`{escape(text)}`"


def escape(text: str) -> str:
    """Text in a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """A Markdown table; all columns but the first ``text_columns`` are aligned to the right."""
    rule = [":--" if place < text_columns else "--:" for place in range(len(headings))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (headings, rule, *rows))
