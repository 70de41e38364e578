"""An independent count of what an org run cost, from its journal's events alone.

Deliberately not :class:`metaloop.files.ledger.BudgetLedger`: two counts that share code agree even when both are
wrong (invariant 3 compares this one with the live ledger).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from metaloop.vocabulary import events as ev


@dataclass(frozen=True)
class Hold:
    """A device that the run paid for from ``start`` to ``end``, in seconds of run time."""

    device: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Audit:
    """Device time, trainings, tokens and dollars of an org run up to ``until`` (its last event).

    ``refusals`` counts questions to which a member had no usable answer. Each of ``devices`` is a group of
    ``devices_per_experiment``, all of which are allocated and busy with it.
    """

    holds: tuple[Hold, ...]
    busy_s: float
    states: dict[str, int]
    tokens: int
    usd: float
    until: float
    ended: bool
    budget_s: float = 0.0
    devices: tuple[str, ...] = field(default=())
    refusals: int = 0
    devices_per_experiment: int = 1

    @property
    def allocated_s(self) -> float:
        return self.devices_per_experiment * sum(hold.seconds for hold in self.holds)

    @property
    def utilization(self) -> float:
        """Seconds in which finished trainings held a device, over seconds paid for; lost attempts count as waste."""
        return self.busy_s / self.allocated_s if self.allocated_s > 0 else 0.0

    @property
    def experiments(self) -> int:
        """Trainings that reached a final state on a device."""
        return sum(self.states.values())


def audit(events: Iterable[ev.Event]) -> Audit:
    """Count ``events``; a device that is still held is counted up to the last event."""
    events = list(events)
    until = max((event.t for event in events), default=0.0)
    finished = [event for event in events if isinstance(event, ev.Finished)]
    costs = [
        event.cost
        for event in events
        if isinstance(event, ev.Proposed | ev.Passed | ev.Refused | ev.Reviewed | ev.Judged | ev.StandUpEnded)
    ]
    started = next((event for event in events if isinstance(event, ev.RunStarted)), None)
    together = started.devices_per_experiment if started else 1
    return Audit(
        holds=tuple(_holds(events, until)),
        busy_s=together * sum(event.result.seconds for event in finished),
        states=dict(sorted(Counter(event.result.state for event in finished).items())),
        tokens=sum(cost.tokens for cost in costs),
        usd=sum(cost.usd for cost in costs),
        until=until,
        ended=any(isinstance(event, ev.RunEnded) for event in events),
        budget_s=started.budget_s if started else 0.0,
        devices=started.devices if started else (),
        refusals=sum(isinstance(event, ev.Refused) for event in events),
        devices_per_experiment=together,
    )


def _holds(events: Iterable[ev.Event], until: float) -> Iterable[Hold]:
    """Every reservation with its end: a release, the death of the run, its end, or ``until``."""
    since: dict[str, float] = {}
    for event in events:
        if isinstance(event, ev.Reserved):
            since[event.device] = event.t
        elif isinstance(event, ev.Released | ev.SetAside):
            yield Hold(event.device, since.pop(event.device), event.t)
        elif isinstance(event, ev.Interrupted | ev.RunEnded):
            yield from (Hold(device, start, event.t) for device, start in since.items())
            since.clear()
    yield from (Hold(device, start, until) for device, start in since.items())
