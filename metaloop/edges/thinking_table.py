"""What thinking brought and cost, organizations side by side: the columns of the terminal's table and the report's."""

from __future__ import annotations

from collections.abc import Sequence

from metaloop.edges.leaderboard_cells import Column, rate, signed
from metaloop.meta.results import OrganizationResult

NONE = "–"
TITLE = "What thinking brought and cost"


def anybody_thinks(organizations: Sequence[OrganizationResult]) -> bool:
    """Whether there is anything to show."""
    return any(o.thinks for o in organizations)


def _tokens(o: OrganizationResult) -> str:
    return f"{o.tokens + o.tokens_unaccounted:,}" if o.thinks else NONE


def _dollars(o: OrganizationResult) -> str:
    return f"{o.usd + o.usd_unaccounted:.4g}" if o.thinks else NONE


def _refusals(o: OrganizationResult) -> str:
    return str(o.refusals) if o.thinks else NONE


def _waited_for(o: OrganizationResult) -> str:
    """The member that most device time idled for, and its share of all that was paid."""
    if not o.idle_thinking or not o.gpu_hours:
        return NONE
    most = o.idle_thinking[0]
    return f"{most.who or 'everybody'}'s {most.cause} {most.seconds / (3600 * o.gpu_hours):.1%}"


COLUMNS: tuple[Column, ...] = (
    ("gain", lambda o: signed(o.gain_bpb)),
    ("per GPU-h", lambda o: rate(o.gain_per_gpu_hour)),
    ("per M tokens", lambda o: rate(o.gain_per_million_tokens)),
    ("per $", lambda o: rate(o.gain_per_usd)),
    ("tokens", _tokens),
    ("$", _dollars),
    ("refusals", _refusals),
    ("idle for thinking", lambda o: f"{o.idle_thinking_share:.1%}"),
    ("mostly for", _waited_for),
)


def thinking_notes(organizations: Sequence[OrganizationResult]) -> list[str]:
    """What the columns mean, and what of the tokens bought no decision."""
    lines = [
        "idle for thinking: share of the paid device time that idled until a proposal, review, verdict or stand-up "
        "came; –: no model was asked"
    ]
    late = [(o.name, o.tokens_unaccounted) for o in organizations if o.tokens_unaccounted]
    if late:
        told = ", ".join(f"{tokens:,} of {name}" for name, tokens in late)
        lines.append(f"tokens of answers that came too late for any decision are among them: {told}")
    return lines
