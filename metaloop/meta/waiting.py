"""Where paid device time went that no training used: which device idled, why, and for whom.

From the journal alone, so that real and simulated org runs are read alike. A device's idle stretch is explained by
the experiment that ended it: before its proposal was made everybody waited for the author, then for its reviewers
(or for the merger that asked for it), then for the controller to hand it out. Busy and idle seconds together are
the allocated ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import msgspec

from metaloop.meta.audit import Hold, audit
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Question

Cause = Literal["proposal", "review", "verdict", "stand-up", "dispatch", "messages", "lost", "device", "canary", "end"]
"""What a device idled for: a proposal to be made, reviewed, judged; a stand-up; the controller to hand work out;
order and result to travel; an attempt that was lost; the device to come back after it; a canary; the end of the run."""


ASKED_FOR: Mapping[Question, Cause] = MappingProxyType(
    {"propose": "proposal", "review": "review", "judge": "verdict", "standup": "stand-up"}
)


class Waiting(msgspec.Struct, frozen=True):
    """Device-seconds that were paid for and idle; ``who`` is the member waited for, empty where it was nobody."""

    cause: Cause
    who: str
    seconds: float


@dataclass(frozen=True)
class Idle:
    """An idle stretch of one device, or of a group that shares its trainings, in seconds of run time."""

    device: str
    start: float
    end: float
    cause: Cause
    who: str


@dataclass(frozen=True)
class _Busy:
    """A device's attempt, with the seconds that it trained; the rest went to ``rest``. A canary's ``experiment`` is the
    one that came after it, for whose sake the device had waited."""

    start: float
    end: float
    experiment: str
    seconds: float
    rest: Cause

    @property
    def lost(self) -> bool:
        return self.rest == "lost"


@dataclass(frozen=True)
class _Thought:
    """A decision under way, in seconds of run time."""

    start: float
    end: float
    cause: Cause
    who: str


@dataclass(frozen=True)
class _Origin:
    """When an experiment was proposed and queued, and who was waited for before each."""

    proposed: float
    author: str
    queued: float
    decider: str
    decided: Cause


def waiting(events: Sequence[ev.Event]) -> tuple[Waiting, ...]:
    """Idle device-seconds by cause and member, the largest first."""
    total: Counter[tuple[Cause, str]] = Counter()
    together = audit(events).devices_per_experiment
    for idle in idle_stretches(events):
        total[idle.cause, idle.who] += together * (idle.end - idle.start)  # type: ignore[assignment]
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Waiting(cause, who, seconds) for (cause, who), seconds in ordered if seconds > 0)


def idle_stretches(events: Sequence[ev.Event]) -> Iterator[Idle]:
    """Every idle stretch of every device, device by device, in order of time."""
    busy, origins, meetings = _attempts(events), _origins(events), _meetings(events)
    thoughts = _thoughts(events)
    holds: dict[str, list[Hold]] = {}
    for hold in audit(events).holds:
        holds.setdefault(hold.device, []).append(hold)
    for device, stretches in holds.items():
        for hold in stretches:
            inside = [b for b in busy.get(device, ()) if hold.start <= b.start < hold.end]
            last = yield from _in_hold(hold, inside, origins, meetings)
            yield from _tail(device, last, hold.end, thoughts)


def _in_hold(
    hold: Hold, busy: Sequence[_Busy], origins: dict[str, _Origin], meetings: Sequence[tuple[float, float, str]]
) -> Generator[Idle, None, float]:
    """The idle stretches of one reservation up to its last attempt's end, what is not training inside attempts
    included; returns that end."""
    now, fallen = hold.start, False
    for attempt in busy:
        if fallen:
            yield from _stretch(hold.device, now, attempt.start, "device", "")
        else:
            yield from _explain(hold.device, now, attempt.start, origins.get(attempt.experiment), meetings)
        end = min(attempt.end, hold.end)
        idle_from = attempt.start + min(attempt.seconds, end - attempt.start)
        yield from _stretch(hold.device, idle_from, end, attempt.rest, "")
        now, fallen = end, attempt.lost
    return now


def _tail(device: str, start: float, end: float, thoughts: Sequence[_Thought]) -> Iterator[Idle]:
    """After its last training a device waits for what somebody thought about meanwhile, if anybody did; what was
    decided then came too late to be trained."""
    for thought in thoughts:
        since, until = max(start, thought.start), min(end, thought.end)
        if until > since:
            yield from _stretch(device, start, since, "end", "")
            yield from _stretch(device, since, until, thought.cause, thought.who)
            start = until
    yield from _stretch(device, start, end, "end", "")


def _thoughts(events: Iterable[ev.Event]) -> list[_Thought]:
    """Decisions that took declared time, in the order in which they were made."""
    found = []
    for event in events:
        said = _said(event)
        if said is not None and said[2] > 0:
            found.append(_Thought(event.t - said[2], event.t, *said[:2]))
    return found


def _said(event: ev.Event) -> tuple[Cause, str, float] | None:
    """What a decision was for, whose it was, and the seconds that it took."""
    if isinstance(event, ev.Proposed):
        return "proposal", event.proposal.author, event.cost.seconds
    if isinstance(event, ev.Passed):
        return "proposal", event.actor, event.cost.seconds
    if isinstance(event, ev.Reviewed):
        return "review", event.actor, event.cost.seconds
    if isinstance(event, ev.Judged):
        return "verdict", event.actor, event.cost.seconds
    return (ASKED_FOR[event.question], event.actor, event.cost.seconds) if isinstance(event, ev.Refused) else None


def _explain(
    device: str, start: float, end: float, origin: _Origin | None, meetings: Sequence[tuple[float, float, str]]
) -> Iterator[Idle]:
    """The stretch before an experiment, cut where it was proposed and queued, stand-ups taken out."""
    for met, parted, director in meetings:
        if met < end and parted > start:
            yield from _explain(device, start, max(start, met), origin, ())
            yield from _stretch(device, max(start, met), min(end, parted), "stand-up", director)
            start = min(end, parted)
    if origin is None:
        yield from _stretch(device, start, end, "dispatch", "")
        return
    proposed, queued = min(max(start, origin.proposed), end), min(max(start, origin.queued), end)
    yield from _stretch(device, start, proposed, "proposal", origin.author)
    yield from _stretch(device, proposed, queued, origin.decided, origin.decider)
    yield from _stretch(device, queued, end, "dispatch", "")


def _stretch(device: str, start: float, end: float, cause: Cause, who: str) -> Iterator[Idle]:
    if end > start:
        yield Idle(device, start, end, cause, who)


def _attempts(events: Iterable[ev.Event]) -> dict[str, list[_Busy]]:
    """Device to its attempts in order; one that the run's death or end cut off is not among them."""
    started: dict[str, float] = {}
    found: dict[str, list[_Busy]] = {}
    for event in events:
        if isinstance(event, ev.Started | ev.CanaryStarted):
            started[event.device] = event.t
        if isinstance(event, ev.Started):
            _name_canaries(found.get(event.device, []), event.experiment)
        elif isinstance(event, ev.Finished | ev.Lost | ev.CanaryEnded):
            start = started.pop(event.device, event.t)
            found.setdefault(event.device, []).append(_attempt(start, event))
    return found


def _attempt(start: float, event: ev.Finished | ev.Lost | ev.CanaryEnded) -> _Busy:
    if isinstance(event, ev.Finished):
        return _Busy(start, event.t, event.experiment, event.result.seconds, "messages")
    if isinstance(event, ev.Lost):
        return _Busy(start, event.t, event.experiment, 0.0, "lost")
    return _Busy(start, event.t, "", 0.0, "canary")


def _name_canaries(attempts: list[_Busy], experiment: str) -> None:
    """The canaries since the last training delayed the one that begins now."""
    for place in range(len(attempts) - 1, -1, -1):
        if attempts[place].rest != "canary":
            return
        attempts[place] = replace(attempts[place], experiment=experiment)


def _origins(events: Iterable[ev.Event]) -> dict[str, _Origin]:
    """Experiment to how it came about."""
    proposals: dict[str, ev.Proposed] = {}
    reviewers: dict[str, str] = {}
    mergers: dict[str, str] = {}
    latest = ""
    found: dict[str, _Origin] = {}
    for event in events:
        if isinstance(event, ev.Proposed):
            proposals[event.proposal.id] = event
        elif isinstance(event, ev.Reviewed):
            reviewers[event.proposal] = event.actor
        elif isinstance(event, ev.Judged):
            mergers[event.proposal] = latest = event.actor
        elif isinstance(event, ev.Queued):
            key = event.experiment.proposal or ""
            proposed = proposals.get(key)
            first = proposed is not None and event.experiment.purpose == "candidate" and event.experiment.repeat == 0
            if proposed is not None and first:
                who = (reviewers.get(key, ""), "review") if key in reviewers else ("", "dispatch")
                found[event.experiment.id] = _Origin(proposed.t, proposed.proposal.author, event.t, *who)  # type: ignore[arg-type]
            else:
                found[event.experiment.id] = _Origin(0.0, "", event.t, mergers.get(key, latest), "verdict")
    return found


def _meetings(events: Iterable[ev.Event]) -> list[tuple[float, float, str]]:
    """Stand-ups that ended: from, to, director."""
    began: ev.StandUpBegan | None = None
    found = []
    for event in events:
        if isinstance(event, ev.StandUpBegan):
            began = event
        elif isinstance(event, ev.StandUpEnded) and began is not None:
            found.append((began.t, event.t, event.director))
            began = None
    return found
