"""Mean curves with intervals, and how soon one is where another ends."""

from __future__ import annotations

import random

import msgspec
import pytest

from metaloop.meta.evidence.anytime import mean_curves, time_to_target
from metaloop.meta.measure import measure_organization
from metaloop.meta.results import CurvePointGain
from metaloop.meta.statistics import t_interval
from tests.meta.evidence.made import BUDGET, around, org_run, organization


def test_curves_are_means_with_intervals_over_org_runs() -> None:
    gains = around(1.0)
    curves = mean_curves([organization("evolved", gains), organization("none", [None])], BUDGET)
    (curve,) = curves.curves
    assert (curve.organization, curve.n) == ("evolved", 10)
    assert curves.gpu_hours[0] == 0.0
    assert curves.gpu_hours[-1] == BUDGET
    end, whole = curve.mean[-1], t_interval(gains)
    assert end == pytest.approx(1.0)
    assert whole.ci95 is not None
    assert (curve.low[-1], curve.high[-1]) == pytest.approx(whole.ci95, rel=1e-5)
    assert curve.mean[0] == 0.0
    assert list(curve.mean) == sorted(curve.mean)
    assert curve.mean[len(curve.mean) // 3] == pytest.approx(0.5)


def test_a_curve_goes_on_to_the_end_of_the_longest_org_run() -> None:
    late = msgspec.structs.replace(org_run("evolved", 1, 1.0, [(1.1, 1.0)]), gpu_hours=1.2 * BUDGET)
    curves = mean_curves([measure_organization("evolved", False, [late])], BUDGET)
    assert curves.gpu_hours[-1] == pytest.approx(1.2 * BUDGET)
    assert curves.curves[0].mean[-1] == 1.0
    assert curves.curves[0].low == ()


def test_time_to_target_is_when_the_mean_curve_is_there() -> None:
    ours = organization("evolved", around(2.0))  # 1.0 after a quarter of the budget, 2.0 after half
    time = time_to_target(ours, organization("tpe", around(0.9, 3)), BUDGET)
    assert time is not None
    assert time.gpu_hours == pytest.approx(0.25 * BUDGET)
    assert time.share == pytest.approx(0.25)
    assert time.target_bpb == pytest.approx(0.9)
    assert time.ci95_hours == pytest.approx((0.25 * BUDGET, 0.25 * BUDGET))
    assert time.n == 10


def test_an_uncertain_arrival_has_a_wide_interval_and_no_arrival_none() -> None:
    ours = organization("evolved", around(2.0))
    near = time_to_target(ours, organization("tpe", around(1.0, 3)), BUDGET)
    assert near is not None
    assert near.ci95_hours == pytest.approx((0.25 * BUDGET, 0.5 * BUDGET))
    even = time_to_target(ours, organization("tpe", around(2.0, 3)), BUDGET)
    assert even is not None
    assert even.ci95_hours is not None
    assert even.ci95_hours[1] is None
    never = time_to_target(ours, organization("tpe", around(3.0)), BUDGET)
    assert never is not None
    assert (never.gpu_hours, never.share, never.ci95_hours) == (None, None, None)
    assert time_to_target(ours, organization("tpe", [None]), BUDGET) is None


def test_the_interval_covers_the_true_time_of_arrival() -> None:
    """Straight curves with random slopes around 1, a control that ends around 0.5: the true arrival is at half."""
    rng, steps, hits, tries = random.Random(7), 60, 0, 200
    for _ in range(tries):
        ours, control = [], []
        for seed in range(8):
            slope = rng.gauss(1.0, 0.2)
            run = org_run("evolved", seed, slope, [])
            curve = tuple(CurvePointGain(BUDGET * k / steps, slope * k / steps) for k in range(steps + 1))
            ours.append(msgspec.structs.replace(run, anytime=curve))
            control.append(org_run("tpe", seed, rng.gauss(0.5, 0.1), []))
        time = time_to_target(
            measure_organization("evolved", False, ours), measure_organization("tpe", True, control), BUDGET
        )
        assert time is not None
        assert time.ci95_hours is not None
        low, high = time.ci95_hours
        hits += low <= 0.5 * BUDGET + 1e-9 and (high is None or high + BUDGET / steps >= 0.5 * BUDGET)
    assert 0.92 <= hits / tries <= 0.99
