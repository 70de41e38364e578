"""Measurement: an independent account, gains over pairs and over org runs, curves, false merges."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from metaloop.files.run_folder import append_line
from metaloop.meta.audit import audit
from metaloop.meta.confirmed import anytime_area, anytime_curve, gain_at
from metaloop.meta.measure import compare, measure_org_run, measure_organization, measure_run, rank
from metaloop.meta.results import CurvePointGain, OrgRunResult, Results
from metaloop.meta.statistics import t_interval
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import Cost
from tests.meta.synthetic_run import BASELINE, PROFILES, Maker, Profile, write_run

SKILLED = Profile("skilled", 0.5)


def measured(maker: Maker, **how: object) -> OrgRunResult:
    return measure_org_run(maker.play(), maker.confirmations(**how))  # type: ignore[arg-type]


def test_allocated_time_is_from_reservation_to_release_whatever_happens() -> None:
    events: list[ev.Event] = [
        ev.RunStarted(0.0, "o", "d", 0, ("a", "b"), 60.0, {}, "ray", "0"),
        ev.Reserved(0.0, "a"),
        ev.Reserved(1.0, "b"),
        ev.Interrupted(10.0),
        ev.Reserved(10.0, "a"),
        ev.Reserved(10.0, "b"),
        ev.Released(12.0, "a"),
        ev.StandUpEnded(13.0, "d", {}, "", Cost(1.0, 70, 0.5)),
        ev.Released(15.0, "b"),
        ev.RunEnded(16.0, "done"),
    ]
    count = audit(events)
    assert count.allocated_s == 10 + 9 + 2 + 5
    assert (count.tokens, count.usd, count.until, count.ended) == (70, 0.5, 16.0, True)
    under_way = audit(events[:3])
    assert under_way.allocated_s == 1.0  # "a" up to the last event
    assert not under_way.ended


def test_utilization_and_states_are_counted_from_finished_trainings() -> None:
    maker = Maker(SKILLED, 0)
    result = measured(maker)
    finished = [e for e in maker.events if isinstance(e, ev.Finished)]
    assert result.experiments == len(finished) == sum(result.states.values())
    busy = sum(e.result.seconds for e in finished)
    assert result.utilization == pytest.approx(busy / (result.gpu_hours * 3600))
    assert result.gpu_hours * 3600 == pytest.approx(sum(maker.free.values()))
    assert 0.95 < result.utilization <= 1.0


def test_gain_is_the_paired_difference_with_its_t_interval() -> None:
    maker = Maker(SKILLED, 0)
    result = measured(maker)
    truth = BASELINE - maker.truth[maker.trunk[-1][0]]
    assert result.finished
    assert result.pairs == 4
    assert result.gain_bpb == pytest.approx(truth, abs=0.01)
    assert result.gain_ci95 == t_interval(list(result.pair_gains.values())).ci95
    assert result.baseline_bpb - result.trunk_bpb == pytest.approx(result.gain_bpb)  # type: ignore[operator]
    # The pairs share 0.02 of noise between baseline and trunk; the interval must not contain it.
    low, high = result.gain_ci95  # type: ignore[misc]
    assert high - low < 0.03


def test_a_failed_training_drops_its_pair_and_is_never_a_zero() -> None:
    whole = measured(Maker(SKILLED, 0))
    maker = Maker(SKILLED, 0)
    maker.play()
    last = len(maker.trunk) - 1
    result = measure_org_run(maker.events, maker.confirmations(fail=((last, 1), (0, 2))))
    assert result.finished
    assert (result.pairs, result.pairs_dropped) == (2, 2)
    assert set(result.pair_gains) == {0, 3}
    assert result.pair_gains[0] == whole.pair_gains[0]
    all_failed = measure_org_run(maker.events, maker.confirmations(fail=tuple((last, p) for p in range(4))))
    assert (all_failed.gain_bpb, all_failed.gain_ci95, all_failed.pairs_dropped) == (None, None, 4)


def test_where_nothing_was_merged_the_gain_is_exactly_zero() -> None:
    result = measured(Maker(Profile("no-op", merges=False), 0))
    assert (result.gain_bpb, result.gain_ci95, result.merges, result.false_merges) == (0.0, (0.0, 0.0), 0, 0)
    assert result.anytime == (CurvePointGain(0.0, 0.0),)
    assert result.anytime_area == 0.0


def test_false_merges_are_those_confirmation_does_not_bear_out() -> None:
    maker = Maker(Profile("unlucky", 0.1), 3)
    result = measured(maker)
    truths = [maker.truth[c] - maker.truth[p] for (p, _), (c, _) in zip(maker.trunk, maker.trunk[1:], strict=False)]
    assert result.merges == len(truths) > 3
    for record, truth in zip(result.merge_records, truths, strict=True):
        assert record.confirmed_delta == pytest.approx(truth, abs=0.02)
        assert record.false_merge == (record.confirmed_delta >= 0)  # type: ignore[operator]
        assert not (record.false_merge and record.proven)
    assert result.false_merges == sum(m.false_merge for m in result.merge_records)
    assert result.false_merges <= result.unproven_merges
    assert result.merge_records[-1].trunk_gain == pytest.approx(result.gain_bpb)


def test_an_unfinished_or_half_confirmed_run_has_no_gain_yet() -> None:
    maker = Maker(SKILLED, 0)
    events = maker.play(ended=False)
    under_way = measure_org_run(events, [])
    assert not under_way.finished
    assert under_way.gain_bpb is None
    assert under_way.merges == len(maker.merged)
    assert under_way.unconfirmed_merges == under_way.merges
    maker = Maker(SKILLED, 0)
    maker.play()
    half = measure_org_run(maker.events, maker.confirmations(pairs=2), pairs=4)
    assert not half.finished
    torn = measure_org_run(maker.events, maker.confirmations()[:-1], pairs=4)
    assert not torn.finished


def test_anytime_curve_is_best_so_far_and_its_area_the_mean_over_log_time() -> None:
    result = measured(Maker(SKILLED, 1))
    gains = [point.gain_bpb for point in result.anytime]
    assert gains == sorted(gains)
    assert gains[0] == 0.0
    step = [CurvePointGain(0.0, 0.0), CurvePointGain(0.1, 2.0)]
    # Two decades of 1 hour: zero up to 0.1 h, then 2 bpb for the last decade.
    assert anytime_area(step, 1.0) == pytest.approx(1.0)
    assert anytime_area([*step, CurvePointGain(3.0, 9.0)], 1.0) == pytest.approx(1.0)
    assert anytime_area([CurvePointGain(0.0, 0.0), CurvePointGain(0.001, 2.0)], 1.0) == pytest.approx(2.0)
    assert (gain_at(step, 0.05), gain_at(step, 0.1)) == (0.0, 2.0)
    assert anytime_curve([]) == (CurvePointGain(0.0, 0.0),)


def test_over_several_seeds_the_interval_is_over_org_runs() -> None:
    runs = [measured(Maker(SKILLED, seed)) for seed in range(3)]
    one, three = measure_organization("skilled", False, runs[:1]), measure_organization("skilled", False, runs)
    assert (one.interval_over, one.gain_ci95) == ("pairs", runs[0].gain_ci95)
    gains = [run.gain_bpb for run in runs]
    assert three.interval_over == "org runs"
    assert three.gain_bpb == pytest.approx(sum(gains) / 3)  # type: ignore[arg-type]
    assert three.gain_ci95 == t_interval(gains).ci95  # type: ignore[arg-type]
    assert three.gpu_hours == pytest.approx(sum(run.gpu_hours for run in runs))
    assert three.gain_per_gpu_hour == pytest.approx(three.gain_bpb / (three.gpu_hours / 3))  # type: ignore[operator]
    nothing = measure_organization("empty", False, [])
    assert (nothing.gain_bpb, nothing.gain_per_gpu_hour, nothing.utilization) == (None, None, 0.0)


def test_organizations_are_paired_by_seed_and_compared_with_the_strongest_control() -> None:
    def organization(profile: Profile, seeds: range):  # type: ignore[no-untyped-def]
        return measure_organization(profile.name, profile.control, [measured(Maker(profile, s)) for s in seeds])

    ranked = rank([organization(profile, range(3)) for profile in PROFILES])
    gains = [o.gain_bpb for o in ranked]
    assert gains == sorted(gains, reverse=True)
    by_name = {o.name: o for o in ranked}
    solo, standup = by_name["solo-greedy"], by_name["daily-standup"]
    assert solo.versus_control is None
    assert standup.versus_control is not None
    assert (standup.versus_control.other, standup.versus_control.over, standup.versus_control.n) == (
        "solo-greedy", "org runs", 3,
    )  # fmt: skip
    assert standup.versus_control.p_value >= 0.25  # type: ignore[operator]
    reached = standup.gpu_hours_to_best_control
    assert reached is not None
    assert reached < solo.gpu_hours_to_best_control  # type: ignore[operator]
    single = compare(organization(PROFILES[2], range(1)), organization(PROFILES[0], range(1)))
    assert single is not None
    assert (single.over, single.n) == ("pairs", 4)
    assert compare(organization(PROFILES[2], range(1)), organization(PROFILES[0], range(1, 2))) is None


def test_a_folder_is_measured_whole_and_survives_json(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", seeds=2)
    results = measure_run(folder.path)
    assert {o.name: o.control for o in results.organizations} == {p.name: p.control for p in PROFILES}
    assert all(o.seeds == (0, 1) and o.gain_ci95 is not None for o in results.organizations)
    text = msgspec.json.encode(results)
    assert msgspec.json.decode(text, type=Results) == results
    assert not any(math.isnan(o.gpu_hours) for o in results.organizations)


def test_a_folder_under_way_is_measured_as_far_as_it_is(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", PROFILES[:2], ended=False)
    place = folder.org_run(PROFILES[1].name, 0)
    with place.journal.open("ab") as file:
        file.write(b'{"type":"finis')  # the process was killed in mid-line
    append_line(place.confirmations, Maker(PROFILES[1], 0).confirmations()[0])
    by_name = {o.name: o for o in measure_run(folder.path).organizations}
    assert by_name[PROFILES[0].name].gain_bpb is not None
    assert by_name[PROFILES[1].name].gain_bpb is None
