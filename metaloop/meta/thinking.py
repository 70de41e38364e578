"""What thinking cost an organization, and what it brought: tokens, dollars, idle devices, and the gain for each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from metaloop.brains.model.transcript import read_exchanges
from metaloop.meta.audit import audit
from metaloop.meta.results import OrgRunResult
from metaloop.meta.waiting import Waiting
from metaloop.vocabulary import events as ev

DECISIONS = ("proposal", "review", "verdict", "stand-up")
"""Causes of idle device time that are somebody's thinking."""


class Charge(NamedTuple):
    """What models were paid."""

    tokens: int
    usd: float


def unaccounted(events: Iterable[ev.Event], transcripts: Path) -> Charge:
    """What the exchanges on disk cost beyond what the journal paid their members.

    An answer comes to nothing where the org run ended, or its process died, before it was delivered. Counted by member,
    so that nobody's surplus hides another's gap; a simulated cluster that adds tokens to every decision hides some. An
    answer that never came at all was never written down, and stays unknown.
    """
    paid_tokens, paid_usd = Counter[str](), Counter[str]()
    for event in events:
        member = _who_was_paid(event)
        if member:
            paid_tokens[member] += event.cost.tokens  # type: ignore[union-attr]
            paid_usd[member] += event.cost.usd  # type: ignore[union-attr, assignment]
    had_tokens, had_usd = Counter[str](), Counter[str]()
    for exchange in read_exchanges(transcripts):
        had_tokens[exchange.member] += sum(a.prompt_tokens + a.reply_tokens for a in exchange.answers)
        had_usd[exchange.member] += exchange.usd  # type: ignore[assignment]
    tokens = sum(max(0, had_tokens[member] - paid_tokens[member]) for member in had_tokens)
    usd = math.fsum(max(0.0, had_usd[member] - paid_usd[member]) for member in had_usd)
    return Charge(tokens, usd if tokens else 0.0)


def charged(events: Sequence[ev.Event], transcripts: Path) -> Charge:
    """All that an org run is known to have been charged: by its journal, and by answers that came too late for it."""
    count, late = audit(events), unaccounted(events, transcripts)
    return Charge(count.tokens + late.tokens, count.usd + late.usd)


def _who_was_paid(event: ev.Event) -> str:
    if isinstance(event, ev.Proposed):
        return event.proposal.author
    if isinstance(event, ev.StandUpEnded):
        return event.director
    return event.actor if isinstance(event, ev.Passed | ev.Refused | ev.Reviewed | ev.Judged) else ""


def idle_for_decisions(org_runs: Iterable[OrgRunResult]) -> tuple[Waiting, ...]:
    """Device-seconds that idled while somebody thought, by cause and member over all org runs, the largest first."""
    total: Counter[tuple[str, str]] = Counter()
    for run in org_runs:
        for wait in run.waiting:
            if wait.cause in DECISIONS:
                total[wait.cause, wait.who] += wait.seconds  # type: ignore[assignment]
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Waiting(cause, who, seconds) for (cause, who), seconds in ordered)  # type: ignore[arg-type]


def gain_for_each(scored: Sequence[OrgRunResult], spent: float) -> float | None:
    """Gain (bpb) for each unit of what these org runs spent together; ``None`` where nothing was, or none is known."""
    gains = [run.gain_bpb for run in scored if run.gain_bpb is not None]
    return math.fsum(gains) / spent if gains and spent > 0 else None


def tokens_of(org_runs: Iterable[OrgRunResult]) -> int:
    """All tokens that are known to have been charged."""
    return sum(run.tokens + run.tokens_unaccounted for run in org_runs)


def usd_of(org_runs: Iterable[OrgRunResult]) -> float:
    """All dollars that are known to have been charged for tokens."""
    return math.fsum(run.usd + run.usd_unaccounted for run in org_runs)
