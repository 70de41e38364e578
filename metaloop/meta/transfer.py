"""Scale transfer: do changes that were found on a small target hold on the next larger one?

Every commit of a trunk is trained again at the larger preset, on fresh paired seeds and unseen data, as confirmation
does it. A change's effect is its commit's bpb minus its parent's on the same seeds: in the company that it was found
in, at both sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from metaloop.meta.confirmed import Scores, confirm_merges, trunk_merges
from metaloop.meta.results import ConfirmedMerge
from metaloop.meta.statistics import t_interval
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.intervals import Estimate
from metaloop.vocabulary.records import Config
from metaloop.vocabulary.seeds import derive

Fate = Literal["survives", "fades", "hurts", "undecided", "failed"]
"""What becomes of a change at the larger size, by its 95 % interval there: wholly below zero (better): survives; wholly
above: hurts; around zero without the effect that it had at the small size: fades; around both: undecided, more pairs
would tell. Failed: no pair has both scores (it diverges, or does not fit)."""


class TransferredChange(msgspec.Struct, frozen=True):
    """One merged change at both sizes; effects in bpb, negative is better, ``None`` where nothing was measured."""

    commit: str
    parent: str
    changes: Config
    small: Estimate
    large: Estimate
    fate: Fate


class Transfer(msgspec.Struct, frozen=True):
    """One trunk at both sizes: gains in bpb (baseline minus trunk, positive is better), and change by change."""

    organization: str
    seed: int
    small_preset: str
    large_preset: str
    small_gain: Estimate
    large_gain: Estimate
    changes: tuple[TransferredChange, ...]
    gpu_hours: float
    """Device time of the trainings at the larger size; those shared with another trunk count where they were made."""


def transfer_seed(seed: int, preset: str) -> int:
    """The root of the pairs' seeds at the larger preset: nothing was ever trained or chosen on them."""
    return derive(seed, "transfer", preset)


def fate_of(small: Estimate, large: Estimate) -> Fate:
    """See :data:`Fate`; with fewer than two pairs nothing can be said."""
    if large.n == 0:
        return "failed"
    if large.ci95 is None:
        return "undecided"
    low, high = large.ci95
    if high < 0.0:
        return "survives"
    if low > 0.0:
        return "hurts"
    return "undecided" if small.n and low <= small.mean <= high else "fades"


def transferred(terms: tuple[str, int, str, str], events: Sequence[ev.Event], small: Scores, large: Scores) -> Transfer:
    """What became of a trunk: ``terms`` are organization, seed, small and large preset; ``large`` are the scores at the
    larger one, ``small`` those of the run's own confirmation."""
    merges = trunk_merges(events)
    ends = (merges[0].parent, merges[-1].commit) if merges else (large.first or "", large.first or "")
    changes = tuple(
        _change(merge, _effect(small, merge), _effect(large, merge)) for merge in confirm_merges(events, large)
    )
    return Transfer(
        *terms,
        small_gain=t_interval(list(small.differences(*ends).values())),
        large_gain=t_interval(list(large.differences(*ends).values())),
        changes=changes,
        gpu_hours=large.seconds / 3600,
    )


def _effect(scores: Scores, merge: ConfirmedMerge) -> Estimate:
    return t_interval(list(scores.differences(merge.commit, merge.parent).values()))


def _change(merge: ConfirmedMerge, small: Estimate, large: Estimate) -> TransferredChange:
    return TransferredChange(merge.commit, merge.parent, merge.changes, small, large, fate_of(small, large))


def shown(estimate: Estimate) -> str:
    """``-0.0123 [-0.0200, -0.0046]``, with what was not measured left out."""
    if not estimate.n or math.isnan(estimate.mean):
        return "not measured"
    interval = f" [{estimate.ci95[0]:+.4f}, {estimate.ci95[1]:+.4f}]" if estimate.ci95 else ""
    return f"{estimate.mean:+.4f}{interval}"


def markdown(transfers: Sequence[Transfer]) -> str:
    """The report: a table for each trunk, all changes and then the whole."""
    lines: list[str] = []
    for found in transfers:
        counts = {fate: sum(c.fate == fate for c in found.changes) for fate in Fate.__args__}  # type: ignore[attr-defined]
        said = ", ".join(f"{count} {fate}" for fate, count in counts.items() if count) or "nothing was merged"
        lines += [
            f"## {found.organization}, seed {found.seed}: {found.small_preset} to {found.large_preset}",
            "",
            f"{said}. Gain of the whole trunk {shown(found.small_gain)} bpb at {found.small_preset} "
            f"({found.small_gain.n} pairs), {shown(found.large_gain)} at {found.large_preset} ({found.large_gain.n} "
            f"pairs); {found.gpu_hours:.4f} GPU-hours.",
            "",
            f"| change | {found.small_preset}, bpb | {found.large_preset}, bpb | fate |",
            "| --- | --- | --- | --- |",
        ]
        for change in found.changes:
            what = ", ".join(f"`{name}` {value}" for name, value in sorted(change.changes.items())) or "none"
            lines.append(f"| {what} | {shown(change.small)} | {shown(change.large)} | {change.fate} |")
        lines.append("")
    return "\n".join(lines)
