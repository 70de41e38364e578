"""Paired differences of two organizations over shared org-run seeds, crashed org runs included."""

from __future__ import annotations

from collections.abc import Sequence

from metaloop.meta.racing.sequential import Summary, summarize


def differences(ours: Sequence[float | None], theirs: Sequence[float | None]) -> list[float]:
    """Ours − theirs by block, where ``None`` is an org run that crashed: it has no score, and so it loses.

    A block without either score says nothing and is left out. Where one is missing, the other wins by the largest
    difference seen between the two: the rank says who won, and the size is the smallest that no win has passed. It
    is never a zero score, which would depend on the unit. Where no block has both scores every win counts 1: the
    test then only sees signs. Among twins that crash equally often a missing score is as likely to help as to hurt.

    What that does to the test: a "largest difference" that grows rewrites earlier ones, and equal sizes are not
    normal, so the proof does not cover it. Simulated (bench/racing.py): among twins the level is kept as long as each
    loses at most about a fifth of its org runs; at a half it can be exceeded by nearly half of itself.

    Raises:
        ValueError: the two do not have the same length.
    """
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None or b is not None]
    both = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    worst = max(both, default=0.0) or 1.0
    return [a - b if a is not None and b is not None else worst if b is None else -worst for a, b in pairs]


def compare(ours: Sequence[float | None], theirs: Sequence[float | None]) -> Summary:
    """:func:`differences`, summarized."""
    return summarize(differences(ours, theirs))
