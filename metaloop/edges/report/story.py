"""An org run told from its journal: its trainings with their fates, who proposed what, what the devices did."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from metaloop.meta.audit import Audit, Hold, audit
from metaloop.meta.waiting import Idle, idle_stretches
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import TRUNK, Config, Experiment, Proposal, TrainingResult

Fate = Literal["incumbent", "merged", "branch", "discarded", "failed", "open"]
"""What became of a training: it measured a head; its change was merged to trunk, or to a feature branch; it was
discarded; it has no score; its verdict is still to come."""


@dataclass(frozen=True)
class Training:
    """One finished training. ``number`` counts them from 1 in order of finishing."""

    number: int
    experiment: Experiment
    proposal: Proposal | None
    device: str
    start: float
    end: float
    gpu_hours: float
    result: TrainingResult
    fate: Fate
    delta: float | None
    ci95: tuple[float, float] | None
    commit: str | None
    reason: str

    @property
    def bpb(self) -> float | None:
        """Its score on ``val``; a training that failed or was stopped has none."""
        return self.result.bpb.get("val") if self.result.state == "ok" else None

    @property
    def changes(self) -> Config:
        return self.proposal.described if self.proposal else {}

    @property
    def author(self) -> str:
        return self.proposal.author if self.proposal else ""

    @property
    def first(self) -> bool:
        """Whether it is its change's first training; repeats tell no new story."""
        return self.experiment.repeat == 0


@dataclass(frozen=True)
class Span:
    """A stretch of run time, on a device (all of them where ``device`` is empty)."""

    start: float
    end: float
    device: str = ""
    label: str = ""


@dataclass(frozen=True)
class Author:
    """What a member did: proposals, those trained, those merged to trunk."""

    name: str
    proposed: int
    trained: int
    merged: int


@dataclass(frozen=True)
class Story:
    """Everything the report and the tracker draw from a journal."""

    started: ev.RunStarted
    account: Audit
    trainings: tuple[Training, ...]
    under_way: tuple[Span, ...]
    lost: tuple[Span, ...]
    stand_ups: tuple[Span, ...]
    authors: tuple[Author, ...]
    idle: tuple[Idle, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.started.organization} seed {self.started.seed}"

    def best_so_far(self) -> list[tuple[Training, float]]:
        """Trunk's score on the run's first training seed after every training: the best that was kept."""
        kept: list[tuple[Training, float]] = []
        best: float | None = None
        for training in self.trainings:
            counts = training.first and training.experiment.branch == TRUNK
            if counts and training.fate in ("incumbent", "merged") and training.bpb is not None:
                best = training.bpb if best is None else min(best, training.bpb)
            if best is not None:
                kept.append((training, best))
        return kept


def tell(events: Iterable[ev.Event]) -> Story | None:
    """The story so far; ``None`` before the run has begun."""
    events = list(events)
    started = next((e for e in events if isinstance(e, ev.RunStarted)), None)
    if started is None:
        return None
    account = audit(events)
    return Story(
        started=started,
        account=account,
        trainings=tuple(_trainings(events, Allocation(account.holds, account.devices_per_experiment))),
        under_way=tuple(_open_spans(events, account.until)),
        lost=tuple(_lost(events)),
        stand_ups=tuple(_stand_ups(events, account.until)),
        authors=tuple(_authors(events)),
        idle=tuple(idle_stretches(events)),
    )


class Allocation:
    """Allocated GPU-hours up to any run time, in logarithmic time (there may be ten thousand devices)."""

    def __init__(self, holds: Sequence[Hold], devices_each: int) -> None:
        self._each = devices_each
        self._starts = sorted(hold.start for hold in holds)
        self._ends = sorted(hold.end for hold in holds)
        self._starts_sum = [0.0, *accumulate(self._starts)]
        self._ends_sum = [0.0, *accumulate(self._ends)]

    def at(self, t: float) -> float:
        """GPU-hours up to ``t``: time since every start before it, less the time since every end before it."""
        begun, over = bisect_left(self._starts, t), bisect_left(self._ends, t)
        seconds = begun * t - self._starts_sum[begun] - (over * t - self._ends_sum[over])
        return self._each * max(0.0, seconds) / 3600


def _trainings(events: Sequence[ev.Event], allocation: Allocation) -> Iterable[Training]:
    experiments = {e.experiment.id: e.experiment for e in events if isinstance(e, ev.Queued)}
    proposals = {e.proposal.id: e.proposal for e in events if isinstance(e, ev.Proposed)}
    starts = {(e.experiment, e.attempt): e.t for e in events if isinstance(e, ev.Started)}
    merges = {e.proposal: e for e in events if isinstance(e, ev.Merged)}
    verdicts = {e.proposal: e for e in events if isinstance(e, ev.Judged)}
    finished = [e for e in events if isinstance(e, ev.Finished)]
    for number, event in enumerate(finished, start=1):
        experiment = experiments[event.experiment]
        proposal = proposals.get(experiment.proposal or "")
        verdict = verdicts.get(experiment.proposal or "")
        merge = merges.get(experiment.proposal or "")
        yield Training(
            number=number,
            experiment=experiment,
            proposal=proposal,
            device=event.device,
            start=starts.get((event.experiment, event.attempt), event.t),
            end=event.t,
            gpu_hours=allocation.at(event.t),
            result=event.result,
            fate=_fate(event, experiment, merge, verdict),
            delta=merge.delta if merge else verdict.delta if verdict else None,
            ci95=merge.ci95 if merge else verdict.ci95 if verdict else None,
            commit=merge.commit if merge else None,
            reason=verdict.reason if verdict else "",
        )


def _fate(event: ev.Finished, experiment: Experiment, merge: ev.Merged | None, verdict: ev.Judged | None) -> Fate:
    if event.result.state != "ok":
        return "failed"
    if experiment.proposal is None:
        return "incumbent"
    if merge is not None:
        return "merged" if merge.branch == TRUNK else "branch"
    return "discarded" if verdict is not None and verdict.verdict in ("discard", "retest") else "open"


def _open_spans(events: Sequence[ev.Event], until: float) -> Iterable[Span]:
    """Attempts that have neither finished nor been lost."""
    running: dict[str, ev.Started] = {}
    for event in events:
        if isinstance(event, ev.Started):
            running[event.device] = event
        elif isinstance(event, ev.Finished | ev.Lost):
            running.pop(event.device, None)
    return [Span(e.t, until, device, e.experiment) for device, e in running.items()]


def _lost(events: Sequence[ev.Event]) -> Iterable[Span]:
    starts = {(e.experiment, e.attempt): e.t for e in events if isinstance(e, ev.Started)}
    for event in events:
        if isinstance(event, ev.Lost):
            begun = starts.get((event.experiment, event.attempt), event.t)
            yield Span(begun, max(begun, event.t), event.device, f"{event.experiment} was lost: {event.reason}")


def _stand_ups(events: Sequence[ev.Event], until: float) -> Iterable[Span]:
    begun: ev.StandUpBegan | None = None
    for event in events:
        if isinstance(event, ev.StandUpBegan):
            begun = event
        elif isinstance(event, ev.StandUpEnded) and begun is not None:
            yield Span(begun.t, event.t, label=event.minutes)
            begun = None
    if begun is not None:
        yield Span(begun.t, until, label="under way")


def _authors(events: Sequence[ev.Event]) -> Iterable[Author]:
    proposals = {e.proposal.id: e.proposal for e in events if isinstance(e, ev.Proposed)}
    queued = {e.experiment.proposal for e in events if isinstance(e, ev.Queued) and e.experiment.proposal}
    merged = [e for e in events if isinstance(e, ev.Merged) and e.branch == TRUNK]
    proposed = Counter(p.author for p in proposals.values())
    trained = Counter(proposals[i].author for i in queued if i in proposals)
    accepted = Counter(e.author for e in merged)
    for name in sorted(proposed, key=lambda n: (-accepted[n], -proposed[n], n)):
        yield Author(name, proposed[name], trained[name], accepted[name])


def describe(changes: Mapping[str, object], most: int = 2) -> str:
    """``matrix_lr 0.031, depth 6``: a change set in few words, or ``40 knobs`` where they are many."""
    if len(changes) > max(most, 3):
        first = ", ".join(f"{name} {_short(value)}" for name, value in sorted(changes.items())[: most - 2])
        return f"{len(changes)} knobs" + (f": {first}, …" if first else "")
    return ", ".join(f"{name} {_short(value)}" for name, value in sorted(changes.items()))


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
