"""Scale transfer: do changes that were found on a small target hold on the next larger one?

Every commit of a trunk is trained again at the larger preset, on fresh paired seeds and unseen data, as confirmation
does it. A change's effect is its commit's bpb minus its parent's on the same seeds: in the company that it was found
in, at both sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from metaloop.meta.confirmed import Scores, confirm_merges, trunk_merges
from metaloop.meta.results import ConfirmedMerge
from metaloop.meta.statistics import t_interval
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import Config
from metaloop.vocabulary.seeds import derive

Fate = Literal["survives", "fades", "hurts", "undecided", "failed"]
"""What becomes of a change at the larger size, by its 95 % interval there: wholly below zero (better): survives; wholly
above: hurts; around zero without the effect that it had at the small size: fades; around both: undecided, more pairs
would tell. Failed: no pair has both scores (it diverges, or does not fit)."""


class Effect(msgspec.Struct, frozen=True):
    """Mean and 95 % t interval over ``n`` pairs, in bpb; ``None`` where there are too few."""

    mean: float | None
    ci95: tuple[float, float] | None
    n: int


class TransferredChange(msgspec.Struct, frozen=True):
    """One merged change at both sizes: commit minus parent, negative is better."""

    commit: str
    parent: str
    changes: Config
    small: Effect
    large: Effect
    fate: Fate


class Transfer(msgspec.Struct, frozen=True):
    """One trunk at both sizes: gains in bpb (baseline minus trunk, positive is better), and change by change."""

    organization: str
    seed: int
    small_preset: str
    large_preset: str
    small_gain: Effect
    large_gain: Effect
    changes: tuple[TransferredChange, ...]
    gpu_hours: float
    """Device time of the trainings at the larger size; those shared with another trunk count where they were made."""


def transfer_seed(seed: int, preset: str) -> int:
    """The root of the pairs' seeds at the larger preset: nothing was ever trained or chosen on them."""
    return derive(seed, "transfer", preset)


def fate_of(small: Effect, large: Effect) -> Fate:
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
    return "undecided" if small.mean is not None and low <= small.mean <= high else "fades"


def transferred(terms: tuple[str, int, str, str], events: Sequence[ev.Event], small: Scores, large: Scores) -> Transfer:
    """What became of a trunk: ``terms`` are organization, seed, small and large preset; ``large`` are the scores at the
    larger one, ``small`` those of the run's own confirmation."""
    merges = trunk_merges(events)
    ends = (merges[0].parent, merges[-1].commit) if merges else (large.first or "", large.first or "")
    changes = tuple(_change(merge, small, large) for merge in confirm_merges(events, large))
    return Transfer(
        *terms,
        small_gain=_over_pairs(small, *ends),
        large_gain=_over_pairs(large, *ends),
        changes=changes,
        gpu_hours=large.seconds / 3600,
    )


def _over_pairs(scores: Scores, left: str, right: str) -> Effect:
    """Left minus right."""
    estimate = t_interval(list(scores.differences(left, right).values()))
    return Effect(estimate.mean if estimate.n else None, estimate.ci95, estimate.n)


def _change(merge: ConfirmedMerge, small: Scores, large: Scores) -> TransferredChange:
    before, after = (_over_pairs(scores, merge.commit, merge.parent) for scores in (small, large))
    return TransferredChange(merge.commit, merge.parent, merge.changes, before, after, fate_of(before, after))


def shown(effect: Effect) -> str:
    """``-0.0123 [-0.0200, -0.0046]``, with what was not measured left out."""
    if effect.mean is None:
        return "not measured"
    interval = f" [{effect.ci95[0]:+.4f}, {effect.ci95[1]:+.4f}]" if effect.ci95 else ""
    return f"{effect.mean:+.4f}{interval}"


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
            f"| change | {found.small_preset}, bpb | {found.large_preset}, bpb | pairs | fate |",
            "| --- | --- | --- | --- | --- |",
        ]
        for change in found.changes:
            what = ", ".join(f"`{name}` {value}" for name, value in sorted(change.changes.items())) or "none"
            lines.append(
                f"| {what} | {shown(change.small)} | {shown(change.large)} | {change.large.n} | {change.fate} |"
            )
        lines.append("")
    return "\n".join(lines)
