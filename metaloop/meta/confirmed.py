"""What confirmation says about one org run: its gain, each of its merges, its anytime curve."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from metaloop.files.run_folder import Confirmation
from metaloop.meta.results import ConfirmedMerge, CurvePointGain
from metaloop.meta.statistics import t_interval, t_test_below
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import TRUNK, Proposal

SPLIT = "confirm"
"""The split that is reported; nothing, not even the meta-loop's selection, has looked at it."""
SIGNIFICANCE = 0.05
AREA_DECADES = 2.0
"""The anytime area looks at the last two decades of the budget: from 1 % of it to all of it."""

PairScores = Mapping[int, float]
"""Confirmation pair to bpb on :data:`SPLIT`."""


class Scores:
    """Confirmed scores of the commits of one org run, on the split that is reported unless another is asked for."""

    def __init__(self, confirmations: Iterable[Confirmation], split: str = SPLIT) -> None:
        self._by_commit: dict[str, dict[int, float]] = {}
        self.tried: dict[str, set[int]] = {}
        """Commit to the pairs it was trained on, failed ones included."""
        self.seconds = 0.0
        self.first: str | None = None
        for confirmation in confirmations:
            self.first = self.first or confirmation.commit
            self.seconds += confirmation.seconds
            self.tried.setdefault(confirmation.commit, set()).add(confirmation.pair)
            scores = self._by_commit.setdefault(confirmation.commit, {})
            if confirmation.state == "ok" and split in confirmation.bpb:
                scores[confirmation.pair] = confirmation.bpb[split]

    def of(self, commit: str) -> PairScores:
        """Scores of a commit by pair; pairs whose training failed are absent."""
        return self._by_commit.get(commit, {})

    def differences(self, left: str, right: str) -> dict[int, float]:
        """Left minus right in bpb, on the pairs where both have a score."""
        ours, theirs = self.of(left), self.of(right)
        return {pair: ours[pair] - theirs[pair] for pair in sorted(ours) if pair in theirs}


def trunk_merges(events: Iterable[ev.Event]) -> list[ev.Merged]:
    """Merges that moved trunk; those on feature branches are not confirmed until they are integrated."""
    return [event for event in events if isinstance(event, ev.Merged) and event.branch == TRUNK]


def root_commit(merges: Sequence[ev.Merged], scores: Scores) -> str | None:
    """The baseline: what the first merge was made on; without merges, the one commit that was confirmed."""
    return merges[0].parent if merges else scores.first


def confirm_merges(events: Sequence[ev.Event], scores: Scores) -> tuple[ConfirmedMerge, ...]:
    """Every merge on trunk with what confirmation found about it."""
    merges = trunk_merges(events)
    root = root_commit(merges, scores)
    proposals = {event.proposal.id: event.proposal for event in events if isinstance(event, ev.Proposed)}
    return tuple(_confirm(merge, root or "", proposals.get(merge.proposal), scores) for merge in merges)


def _confirm(merge: ev.Merged, root: str, proposal: Proposal | None, scores: Scores) -> ConfirmedMerge:
    deltas = list(scores.differences(merge.commit, merge.parent).values())
    estimate = t_interval(deltas)
    gains = list(scores.differences(root, merge.commit).values())
    p = t_test_below(deltas)
    return ConfirmedMerge(
        commit=merge.commit,
        parent=merge.parent,
        proposal=merge.proposal,
        author=merge.author,
        actor=merge.actor,
        changes=proposal.described if proposal else {},
        edits=proposal.edits if proposal else (),
        gpu_hours=merge.spent_s / 3600,
        delta=merge.delta,
        ci95=merge.ci95,
        repeats=merge.repeats,
        confirmed_delta=estimate.mean if deltas else None,
        confirmed_ci95=estimate.ci95,
        pairs=len(deltas),
        trunk_gain=math.fsum(gains) / len(gains) if gains else None,
        false_merge=bool(deltas) and estimate.mean >= 0.0,
        proven=p is not None and p < SIGNIFICANCE,
    )


def anytime_curve(merges: Iterable[ConfirmedMerge]) -> tuple[CurvePointGain, ...]:
    """Best confirmed gain so far over GPU-hours: 0 at the start, a step at every merge that raises it."""
    curve = [CurvePointGain(0.0, 0.0)]
    for merge in merges:
        if merge.trunk_gain is not None and merge.trunk_gain > curve[-1].gain_bpb:
            curve.append(CurvePointGain(merge.gpu_hours, merge.trunk_gain))
    return tuple(curve)


def gain_at(curve: Sequence[CurvePointGain], gpu_hours: float) -> float:
    """Value of the step curve after ``gpu_hours``."""
    return max((point.gain_bpb for point in curve if point.gpu_hours <= gpu_hours), default=0.0)


def anytime_area(curve: Sequence[CurvePointGain], budget_hours: float) -> float:
    """Normalized area under the curve over log GPU-hours, in bpb.

    With g(h) the curve and B the budget: ``1/ln(B/h₀) · ∫ g(h) d(ln h)`` from h₀ = B/100 to B. In words: the gain
    one would hold on average if stopped at a time drawn log-uniformly from the last two decades of the budget.
    A gain after B counts nothing.
    """
    start = math.log(budget_hours) - AREA_DECADES * math.log(10)
    end = math.log(budget_hours)
    times = [max(start, math.log(p.gpu_hours)) if p.gpu_hours > 0 else start for p in curve]
    area = 0.0
    for point, begins, ends in zip(curve, times, [*times[1:], end], strict=True):
        area += point.gain_bpb * max(0.0, min(ends, end) - begins)
    return area / (end - start)
