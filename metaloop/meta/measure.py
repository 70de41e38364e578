"""From journals and confirmations to results: one org run, one organization over its seeds, a whole run's folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from metaloop.files import journal
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, RunTerms, read_lines
from metaloop.meta.audit import audit
from metaloop.meta.confirmed import (
    PairScores,
    Scores,
    anytime_area,
    anytime_curve,
    confirm_merges,
    gain_at,
    root_commit,
    trunk_merges,
)
from metaloop.meta.ideas import fates
from metaloop.meta.results import Comparison, ConfirmedMerge, OffDevice, OrganizationResult, OrgRunResult, Results
from metaloop.meta.statistics import sign_flip_test, t_interval
from metaloop.meta.thinking import gain_for_each, idle_for_decisions, tokens_of, unaccounted, usd_of
from metaloop.meta.waiting import waiting
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.intervals import Estimate

OVER_RUNS = "org runs"
OVER_PAIRS = "pairs"


def measure_run(path: Path) -> Results:
    """Measure a run's folder, finished or not.

    Raises:
        FileError: it is not the folder of a run, or one of its files is damaged.
    """
    folder = RunFolder(path)
    terms = folder.read_terms()
    measured = []
    for name in terms.organizations:
        runs = [measure_folder(folder.org_run(name, seed), terms) for seed in terms.org_run_seeds]
        org_runs = [run for run in runs if run is not None]
        measured.append(measure_organization(name, is_control(folder.organizations / name), org_runs))
    return Results(rank(measured), terms, str(path))


def is_control(organization: Path) -> bool:
    """Whether the organization's own file calls it a control; False where it cannot be read any more."""
    try:
        return load_organization(organization).control
    except FileError:
        return False


def measure_folder(folder: OrgRunFolder, terms: RunTerms) -> OrgRunResult | None:
    """One org run's folder, run on ``terms``; ``None`` where it has not begun."""
    if not folder.journal.exists():
        return None
    events = journal.read(folder.journal)
    if not events:
        return None
    confirmations = read_lines(folder.confirmations, Confirmation)
    measured = measure_org_run(events, confirmations, terms.confirm_pairs, ends=terms.confirm == "ends")
    late = unaccounted(events, folder.transcripts)
    return msgspec.structs.replace(measured, tokens_unaccounted=late.tokens, usd_unaccounted=late.usd)


def measure_org_run(
    events: Sequence[ev.Event], confirmations: Iterable[Confirmation], pairs: int = 1, *, ends: bool = False
) -> OrgRunResult:
    """One org run from its journal and the harness's trainings; with fewer than ``pairs`` pairs it is not finished.

    ``ends``: the last trunk commit's are enough; otherwise every trunk commit is to be confirmed.
    """
    started = next(event for event in events if isinstance(event, ev.RunStarted))
    scores = Scores(confirmations)
    count = audit(events)
    merges = confirm_merges(events, scores)
    confirmed = count.ended and _is_confirmed(events, scores, pairs, ends)
    gains = _final_gains(events, scores) if confirmed else {}
    estimate = _gain_estimate(gains)
    baseline, trunk = _ends(events, scores)
    curve = anytime_curve(merges) if confirmed else ()
    return OrgRunResult(
        organization=started.organization,
        seed=started.seed,
        finished=confirmed,
        gain_bpb=estimate.mean if gains else None,
        gain_ci95=estimate.ci95,
        pairs=len(gains),
        baseline_bpb=_mean_over(scores.of(baseline), gains),
        trunk_bpb=_mean_over(scores.of(trunk), gains),
        gpu_hours=count.allocated_s / 3600,
        utilization=count.utilization,
        makespan_s=count.until,
        experiments=count.experiments,
        states=count.states,
        merges=len(merges),
        false_merges=sum(merge.false_merge for merge in merges),
        tokens=count.tokens,
        usd=count.usd,
        anytime=curve,
        anytime_area=anytime_area(curve, count.budget_s / 3600) if curve and count.budget_s > 0 else None,
        confirmation_gpu_hours=scores.seconds / 3600,
        budget_gpu_hours=count.budget_s / 3600,
        pairs_dropped=len(_pairs(scores, baseline, trunk)) - len(gains) if confirmed else 0,
        pair_gains=gains,
        unproven_merges=_unproven(merges),
        unconfirmed_merges=sum(merge.confirmed_delta is None for merge in merges),
        merge_records=merges,
        waiting=waiting(events),
        refusals=count.refusals,
        ideas=tuple(fates(events, merges)),
        canaries=sum(isinstance(event, ev.CanaryEnded) for event in events),
        off_devices=tuple(OffDevice(e.device, e.t, e.reason, e.suspects) for e in events if isinstance(e, ev.SetAside)),
        hardware=_hardware(events),
    )


def _hardware(events: Sequence[ev.Event]) -> tuple[str, ...]:
    return tuple(sorted({name for e in events if isinstance(e, ev.Equipped) for name in e.hardware.values()}))


def _unproven(merges: Iterable[ConfirmedMerge]) -> int:
    """Merges that confirmation looked at and did not find significantly better than their parent."""
    return sum(merge.confirmed_delta is not None and not merge.proven for merge in merges)


def _ends(events: Sequence[ev.Event], scores: Scores) -> tuple[str, str]:
    """The baseline's and the final trunk's commit (equal where nothing was merged, empty where nothing is known)."""
    merges = trunk_merges(events)
    root = root_commit(merges, scores) or ""
    return root, merges[-1].commit if merges else root


def _pairs(scores: Scores, baseline: str, trunk: str) -> set[int]:
    """Pairs on which either end was trained, whatever came of it."""
    return scores.tried.get(baseline, set()) | scores.tried.get(trunk, set())


def _is_confirmed(events: Sequence[ev.Event], scores: Scores, pairs: int, ends: bool) -> bool:
    """Whether baseline and every trunk commit (with ``ends``, the last) were trained on the same pairs, on all."""
    merges = trunk_merges(events)
    root = root_commit(merges, scores)
    wanted = scores.tried.get(root or "", set())
    return len(wanted) >= pairs and all(
        scores.tried.get(merge.commit) == wanted for merge in (merges[-1:] if ends else merges)
    )


def _final_gains(events: Sequence[ev.Event], scores: Scores) -> dict[int, float]:
    """Baseline minus final trunk by pair.

    A pair in which either training failed has no score and is dropped; never a zero. Where nothing was merged
    both ends are the same commit, so every pair's gain is exactly 0, and so is its interval: no claim was made.
    """
    return scores.differences(*_ends(events, scores))


def _gain_estimate(gains: dict[int, float]) -> Estimate:
    return t_interval(list(gains.values()))


def _mean_over(scores: PairScores, pairs: dict[int, float]) -> float | None:
    values = [value for pair, value in scores.items() if pair in pairs]
    return math.fsum(values) / len(values) if values else None


def measure_organization(name: str, control: bool, org_runs: Sequence[OrgRunResult]) -> OrganizationResult:
    """One organization over its org runs, before it is compared with others (:func:`rank`)."""
    scored = [run for run in org_runs if run.gain_bpb is not None]
    gains = [run.gain_bpb for run in scored if run.gain_bpb is not None]
    estimate, over = t_interval(gains), OVER_RUNS
    if len(scored) == 1:
        estimate, over = Estimate(gains[0], scored[0].gain_ci95, scored[0].pairs), OVER_PAIRS
    hours = math.fsum(run.gpu_hours for run in org_runs)
    scored_hours = math.fsum(run.gpu_hours for run in scored)
    busy = math.fsum(run.utilization * run.gpu_hours for run in org_runs)
    areas = [run.anytime_area for run in scored if run.anytime_area is not None]
    idle = idle_for_decisions(org_runs)
    return OrganizationResult(
        name=name,
        control=control,
        seeds=tuple(run.seed for run in org_runs),
        gain_bpb=estimate.mean if gains else None,
        gain_ci95=estimate.ci95,
        interval_over=over,
        gain_per_gpu_hour=gain_for_each(scored, scored_hours),
        gpu_hours=hours,
        utilization=busy / hours if hours > 0 else 0.0,
        experiments=sum(run.experiments for run in org_runs),
        merges=sum(run.merges for run in org_runs),
        false_merges=sum(run.false_merges for run in org_runs),
        tokens=sum(run.tokens for run in org_runs),
        usd=math.fsum(run.usd for run in org_runs),
        anytime_area=math.fsum(areas) / len(areas) if areas else None,
        gpu_hours_to_best_control=None,
        org_runs=tuple(org_runs),
        unproven_merges=sum(run.unproven_merges for run in org_runs),
        refusals=sum(run.refusals for run in org_runs),
        tokens_unaccounted=sum(run.tokens_unaccounted for run in org_runs),
        usd_unaccounted=math.fsum(run.usd_unaccounted for run in org_runs),
        gain_per_million_tokens=gain_for_each(scored, tokens_of(scored) / 1e6),
        gain_per_usd=gain_for_each(scored, usd_of(scored)),
        idle_thinking=idle,
        idle_thinking_share=math.fsum(wait.seconds for wait in idle) / (3600 * hours) if hours > 0 else 0.0,
    )


def rank(organizations: Iterable[OrganizationResult]) -> tuple[OrganizationResult, ...]:
    """Compare all with the strongest control, and put the best first (those without a gain last)."""
    organizations = list(organizations)
    best = strongest_control(organizations)
    compared = [_against(organization, best) for organization in organizations]
    return tuple(sorted(compared, key=lambda o: (o.gain_bpb is None, -(o.gain_bpb or 0.0), o.name)))


def strongest_control(organizations: Iterable[OrganizationResult]) -> OrganizationResult | None:
    """The control with the largest gain.

    Chosen after the fact, so it is a little lucky; that makes beating it harder, never easier.
    """
    controls = [o for o in organizations if o.control and o.gain_bpb is not None]
    return max(controls, key=lambda o: o.gain_bpb or 0.0, default=None)


def _against(ours: OrganizationResult, best: OrganizationResult | None) -> OrganizationResult:
    if best is None or best.gain_bpb is None:
        return ours
    return msgspec.structs.replace(
        ours,
        gpu_hours_to_best_control=hours_to_reach(ours, best.gain_bpb),
        versus_control=None if ours.name == best.name else compare(ours, best),
    )


def hours_to_reach(organization: OrganizationResult, gain: float) -> float | None:
    """GPU-hours after which the mean anytime curve over the org runs is at ``gain``; ``None`` if it never is."""
    curves = [run.anytime for run in organization.org_runs if run.gain_bpb is not None]
    times = sorted({point.gpu_hours for curve in curves for point in curve})
    for hours in times:
        # A mean of equal numbers may differ from them in the last digit, hence the tolerance.
        if math.fsum(gain_at(curve, hours) for curve in curves) / len(curves) >= gain - 1e-12:
            return hours
    return None


def compare(ours: OrganizationResult, theirs: OrganizationResult) -> Comparison | None:
    """Paired difference of gains over shared org-run seeds; with one shared seed, over its confirmation pairs.

    On one org-run seed both were confirmed on the same training seeds, so the baseline's score is shared and the
    difference is that of the two trunks alone.
    """
    mine = {run.seed: run for run in ours.org_runs if run.gain_bpb is not None}
    other = {run.seed: run for run in theirs.org_runs if run.gain_bpb is not None}
    seeds = sorted(mine.keys() & other.keys())
    if len(seeds) == 1:
        left, right = mine[seeds[0]].pair_gains, other[seeds[0]].pair_gains
        differences = [left[pair] - right[pair] for pair in sorted(left.keys() & right.keys())]
    else:
        differences = [(mine[s].gain_bpb or 0.0) - (other[s].gain_bpb or 0.0) for s in seeds]
    if not differences:
        return None
    estimate = t_interval(differences)
    over = OVER_PAIRS if len(seeds) == 1 else OVER_RUNS
    return Comparison(theirs.name, estimate.mean, estimate.ci95, over, estimate.n, sign_flip_test(differences))
