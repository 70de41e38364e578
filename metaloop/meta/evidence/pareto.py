"""The Pareto front of gain against what the organization's brains cost: more gain, fewer tokens, fewer dollars."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Place(msgspec.Struct, frozen=True):
    """An organization by mean gain (bpb), tokens and dollars of one org run. ``on_front``: no other dominates it."""

    organization: str
    gain_bpb: float
    tokens: float
    usd: float
    on_front: bool = False


def front(places: Sequence[Place]) -> tuple[Place, ...]:
    """The places, the largest gain first, with those marked that no other dominates.

    One dominates another where it is at least as good in all three and better in one (Pareto); equal places share the
    front. Gains are point estimates here: of two that the paired comparison cannot tell apart, one may dominate.
    """
    marked = [msgspec.structs.replace(p, on_front=not any(_dominates(other, p) for other in places)) for p in places]
    return tuple(sorted(marked, key=lambda p: (-p.gain_bpb, p.tokens, p.usd, p.organization)))


def _dominates(one: Place, other: Place) -> bool:
    ours, theirs = (-one.gain_bpb, one.tokens, one.usd), (-other.gain_bpb, other.tokens, other.usd)
    return ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True))
