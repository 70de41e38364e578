"""What measurement yields: the records behind ``--json``, the leaderboard, the report and MLflow.

Gains are in bits per byte on the ``confirm`` split, positive is better; deltas are bpb differences as the journal
has them, negative is better. ``docs/measurement.md`` has every formula.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from metaloop.files.run_folder import RunTerms
from metaloop.meta.waiting import Waiting
from metaloop.vocabulary.code import Edit
from metaloop.vocabulary.records import Config


class CurvePointGain(msgspec.Struct, frozen=True, array_like=True):
    """A step of the anytime curve: from ``gpu_hours`` on, the best confirmed gain so far is ``gain_bpb``."""

    gpu_hours: float
    gain_bpb: float


class ConfirmedMerge(msgspec.Struct, frozen=True):
    """A merge on trunk: what its merger saw, and what confirmation found on the same change.

    ``confirmed_delta`` is bpb of the commit minus bpb of its parent, mean over the confirmation pairs; a merge is
    ``false_merge`` where that is not below zero, and ``proven`` where the one-sided paired t test says so at 5 %.
    ``trunk_gain`` is baseline minus commit. All of them are ``None`` (False) where no pair has both scores.
    """

    commit: str
    parent: str
    proposal: str
    author: str
    actor: str
    changes: Config
    gpu_hours: float
    delta: float | None
    ci95: tuple[float, float] | None
    repeats: int
    confirmed_delta: float | None
    confirmed_ci95: tuple[float, float] | None
    pairs: int
    trunk_gain: float | None
    false_merge: bool
    proven: bool
    edits: tuple[Edit, ...] = ()


class IdeaFate(msgspec.Struct, frozen=True):
    """One idea of one org run: an entry of ``idea list --json``.

    ``proposals`` took it up, ``experiments`` trained them, and those that grew out of them. ``merge`` is the trunk
    merge that brought it in, ``proposal`` the one merged; ``delta`` and ``repeats`` are what the merger saw on ``val``
    (negative is better), without a merge what the first training brought against its head. ``confirmed_delta`` with
    ``confirmed_ci95`` over ``pairs`` is what the harness found on ``confirm``. Where a merge holds more than the idea
    (a combination, an integration), ``shared`` is true: its gain is not the idea's alone.
    """

    organization: str
    seed: int
    idea: str
    text: str
    source: str
    link: str
    changes: Config
    status: str
    proposals: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    merge: str | None = None
    proposal: str | None = None
    delta: float | None = None
    repeats: int = 0
    confirmed_delta: float | None = None
    confirmed_ci95: tuple[float, float] | None = None
    pairs: int = 0
    shared: bool = False


class IdeaFates(msgspec.Struct, frozen=True):
    """What ``idea list --json`` prints."""

    ideas: tuple[IdeaFate, ...]


class OffDevice(msgspec.Struct, frozen=True):
    """A device that its canaries set aside ``seconds`` into an org run; ``suspects`` are the experiments that it
    finished since its last good canary. Their scores stand: where a budget is counted in tokens or FLOPs, a slow
    device takes longer over the same training; where it is counted in seconds, they are worse than they should be."""

    device: str
    seconds: float
    reason: str
    suspects: tuple[str, ...]


class OrgRunResult(msgspec.Struct, frozen=True):
    """One org run, measured. Gains are confirmed on the ``confirm`` split with fresh paired seeds.

    ``finished`` says that the run has ended and every trunk commit was confirmed or tried; before, gains are ``None``.
    ``pairs`` counts those with a score of baseline and trunk, ``pairs_dropped`` those where a training failed.
    ``gpu_hours`` and ``utilization`` are counted from the journal, not from the controller's ledger; ``waiting`` says
    what the devices idled for. ``refusals`` counts questions to which a member had no usable answer. ``tokens`` and
    ``usd`` are what the journal's decisions cost, ``tokens_unaccounted`` and ``usd_unaccounted`` what answers cost
    beside that, which came too late for any decision. ``hardware`` names what the devices were (several names: they
    were not alike, or changed on the way); empty where the journal does not say. ``canaries`` counts canary trainings,
    ``off_devices`` are the devices that they set aside.
    """

    organization: str
    seed: int
    finished: bool
    gain_bpb: float | None
    gain_ci95: tuple[float, float] | None
    pairs: int
    baseline_bpb: float | None
    trunk_bpb: float | None
    gpu_hours: float
    utilization: float
    makespan_s: float
    experiments: int
    states: dict[str, int]
    merges: int
    false_merges: int
    tokens: int
    usd: float
    anytime: tuple[CurvePointGain, ...]
    anytime_area: float | None
    confirmation_gpu_hours: float
    budget_gpu_hours: float = 0.0
    pairs_dropped: int = 0
    pair_gains: dict[int, float] = {}
    unproven_merges: int = 0
    unconfirmed_merges: int = 0
    merge_records: tuple[ConfirmedMerge, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    refusals: int = 0
    tokens_unaccounted: int = 0
    usd_unaccounted: float = 0.0
    ideas: tuple[IdeaFate, ...] = ()
    canaries: int = 0
    off_devices: tuple[OffDevice, ...] = ()
    hardware: tuple[str, ...] = ()


class Comparison(msgspec.Struct, frozen=True):
    """An organization against another on shared seeds: difference of gains (positive: ours is larger).

    ``over`` says what was paired (``org runs`` or ``pairs``), ``n`` how many; ``p_value`` is the exact two-sided
    sign-flip test's, which at n values cannot be below 2·2⁻ⁿ.
    """

    other: str
    difference_bpb: float
    ci95: tuple[float, float] | None
    over: str
    n: int
    p_value: float | None


class OrganizationResult(msgspec.Struct, frozen=True):
    """One organization over its seeds: an entry of ``--json``'s ``organizations``.

    ``gain_bpb`` is the mean over org runs; ``gpu_hours``, ``experiments``, ``merges``, ``false_merges``, ``tokens``,
    ``usd`` and ``refusals`` are totals over them; ``gain_per_gpu_hour`` is the mean gain over the mean GPU-hours of
    an org run, ``gain_per_million_tokens`` and ``gain_per_usd`` likewise over all tokens and dollars that are known to
    have been charged, the unaccounted ones too (``None``: nothing was). ``idle_thinking`` has the device-seconds that
    idled while somebody thought, by cause and member, ``idle_thinking_share`` their share of the paid ones.
    ``gain_ci95`` is a t interval over the org runs; with a single org run, over its confirmation pairs
    (``interval_over`` says which). ``versus_control`` compares with the strongest control.
    """

    name: str
    control: bool
    seeds: tuple[int, ...]
    gain_bpb: float | None
    gain_ci95: tuple[float, float] | None
    interval_over: str
    gain_per_gpu_hour: float | None
    gpu_hours: float
    utilization: float
    experiments: int
    merges: int
    false_merges: int
    tokens: int
    usd: float
    anytime_area: float | None
    gpu_hours_to_best_control: float | None
    org_runs: tuple[OrgRunResult, ...]
    unproven_merges: int = 0
    versus_control: Comparison | None = None
    refusals: int = 0
    tokens_unaccounted: int = 0
    usd_unaccounted: float = 0.0
    gain_per_million_tokens: float | None = None
    gain_per_usd: float | None = None
    idle_thinking: tuple[Waiting, ...] = ()
    idle_thinking_share: float = 0.0

    @property
    def thinks(self) -> bool:
        """Whether any of its members asked a model."""
        return bool(self.tokens or self.tokens_unaccounted or self.usd or self.refusals)


class Results(msgspec.Struct, frozen=True):
    """What ``metaloop run --json`` prints: organizations by gain, the best first."""

    organizations: tuple[OrganizationResult, ...]
    terms: RunTerms
    out: str


def hardware_of(organizations: Iterable[OrganizationResult]) -> tuple[str, ...]:
    """What their org runs were trained on, as far as the journals say."""
    return tuple(sorted({name for o in organizations for run in o.org_runs for name in run.hardware}))
