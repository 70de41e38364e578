"""What a comparison comes to: every run, each organization beside each peer, and the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
from scipy.special import stdtr

from metaloop.meta.confirmed import gain_at
from metaloop.meta.measure import compare, hours_to_reach, measure_organization
from metaloop.meta.results import Comparison, OrganizationResult, OrgRunResult
from metaloop.meta.statistics import t_interval

RANDOM = "random"
Side = Literal["organization", "peer"]


class Run(msgspec.Struct, frozen=True):
    """One run, as a line of ``runs.jsonl``. ``cpu_s``: processor seconds of the search and its simulated trainings,
    which virtual time does not charge."""

    side: Side
    name: str
    seed: int
    cpu_s: float
    result: OrgRunResult


class Beside(msgspec.Struct, frozen=True):
    """An organization beside a peer on the seeds that both have; shares are of the budget B, on mean anytime curves.

    ``difference`` is organization minus peer in bpb of gain; ``p_value`` is the two-sided paired t test's, after
    Holm over the organization's peers. ``share_to_reach``: when the organization stands at the peer's final gain;
    ``peer_share_to_reach`` the other way round; ``None``: never. ``seeds_by_half``: on how many seeds it stands at
    half of B where the peer ends on the same seed.
    """

    organization: str
    peer: str
    difference: float
    ci95: tuple[float, float] | None
    n: int
    p_value: float | None
    share_to_reach: float | None
    peer_share_to_reach: float | None
    seeds_by_half: int


class PeerResults(msgspec.Struct, frozen=True):
    """All of a comparison. ``versus_random``: gains of either side against the peer :data:`RANDOM`, paired by seed;
    ``unavailable``: peers that could not be made here, and why."""

    organizations: tuple[OrganizationResult, ...]
    peers: tuple[OrganizationResult, ...]
    beside: tuple[Beside, ...]
    best_peer: str | None
    versions: dict[str, str]
    unavailable: dict[str, str]
    versus_random: dict[str, Comparison] = {}


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values in the given order (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979)."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def paired_t_test(differences: Sequence[float]) -> float | None:
    """Two-sided p value of "the mean difference is 0" (Student, 1908); ``None`` with fewer than two values."""
    n = len(differences)
    if n < 2:
        return None
    mean = math.fsum(differences) / n
    error = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1) / n)
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return 2.0 * float(stdtr(n - 1, -abs(mean / error)))


def side(runs: Sequence[Run], which: Side) -> list[OrganizationResult]:
    """Each name of a side over its seeds, largest gain first."""
    names = dict.fromkeys(run.name for run in runs if run.side == which)
    measured = [
        measure_organization(
            name, which == "peer", [run.result for run in runs if (run.side, run.name) == (which, name)]
        )
        for name in names
    ]
    return sorted(measured, key=lambda found: -(found.gain_bpb if found.gain_bpb is not None else -math.inf))


def compare_all(runs: Sequence[Run], versions: dict[str, str], unavailable: dict[str, str]) -> PeerResults:
    """Every organization beside every peer."""
    organizations, peers = side(runs, "organization"), side(runs, "peer")
    beside = [pair for organization in organizations for pair in _against_all(organization, peers)]
    random = next((peer for peer in peers if peer.name == RANDOM), None)
    against = {found.name: compare(found, random) for found in (*organizations, *peers)} if random else {}
    versus_random = {name: found for name, found in against.items() if found is not None and name != RANDOM}
    best = peers[0].name if peers and peers[0].gain_bpb is not None else None
    return PeerResults(tuple(organizations), tuple(peers), tuple(beside), best, versions, unavailable, versus_random)


def _gains(found: OrganizationResult) -> dict[int, float]:
    return {run.seed: run.gain_bpb for run in found.org_runs if run.gain_bpb is not None}


def _against_all(ours: OrganizationResult, peers: Sequence[OrganizationResult]) -> list[Beside]:
    mine, raw = _gains(ours), []
    for peer in peers:
        theirs = _gains(peer)
        seeds = sorted(mine.keys() & theirs.keys())
        if seeds:
            raw.append((peer, theirs, seeds, [mine[seed] - theirs[seed] for seed in seeds]))
    tests = [paired_t_test(differences) for *_, differences in raw]
    corrected = iter(holm([p for p in tests if p is not None]))
    return [
        _beside(ours, peer, theirs, seeds, None if p is None else next(corrected))
        for (peer, theirs, seeds, _), p in zip(raw, tests, strict=True)
    ]


def _beside(
    ours: OrganizationResult, peer: OrganizationResult, theirs: dict[int, float], seeds: list[int], p: float | None
) -> Beside:
    mine = _gains(ours)
    estimate = t_interval([mine[seed] - theirs[seed] for seed in seeds])
    budget = ours.org_runs[0].budget_gpu_hours
    curves = {run.seed: run.anytime for run in ours.org_runs}
    return Beside(
        organization=ours.name,
        peer=peer.name,
        difference=estimate.mean,
        ci95=estimate.ci95,
        n=estimate.n,
        p_value=p,
        share_to_reach=_share(ours, peer.gain_bpb, budget),
        peer_share_to_reach=_share(peer, ours.gain_bpb, budget),
        seeds_by_half=sum(gain_at(curves[seed], budget / 2) >= theirs[seed] for seed in seeds),
    )


def _share(found: OrganizationResult, gain: float | None, budget: float) -> float | None:
    hours = None if gain is None else hours_to_reach(found, gain)
    return None if hours is None else hours / budget
