"""Paired comparisons are SciPy's, corrected after Holm; a crashed org run loses."""

from __future__ import annotations

import pytest
from scipy import stats

from metaloop.meta.evidence.paired import compare, corrected
from tests.meta.evidence.made import around, organization


def test_a_pair_is_scipys_paired_t_test() -> None:
    ours, theirs = around(1.0), around(0.97, shift=3)
    pair = compare(organization("evolved", ours), organization("tpe", theirs))
    assert pair is not None
    expected = stats.ttest_rel(ours, theirs)
    assert pair.difference_bpb == pytest.approx(0.03)
    assert pair.p_t == pytest.approx(expected.pvalue)
    assert pair.ci95 == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (pair.n, pair.missing) == (10, 0)
    assert (pair.ours, pair.theirs) == ("evolved", "tpe")
    assert pair.p_t_holm is None


def test_only_shared_seeds_count() -> None:
    pair = compare(organization("evolved", around(1.0)), organization("tpe", around(0.5)[:4]))
    assert pair is not None
    assert pair.n == 4


def test_an_org_run_without_a_gain_loses_by_the_largest_difference() -> None:
    ours: list[float | None] = [1.0, 1.1, 1.2, None]
    pair = compare(organization("evolved", ours), organization("tpe", [0.9, 0.9, 0.9, 0.9]))
    assert pair is not None
    assert pair.missing == 1
    assert pair.difference_bpb == pytest.approx((0.1 + 0.2 + 0.3 - 0.3) / 4)
    assert compare(organization("evolved", [None]), organization("tpe", [None])) is None


def test_a_family_is_corrected_after_holm() -> None:
    ours = organization("evolved", around(1.0))
    rivals = [organization("a", around(0.9, 3)), organization("b", around(0.99, 3)), organization("c", [None] * 10)]
    pairs = [compare(ours, rival) for rival in rivals]
    family = corrected([*pairs, None])
    assert family[3] is None
    made = [pair for pair in family if pair is not None]
    raw = [pair.p_t for pair in made if pair.p_t is not None]
    smallest, largest = min(raw), max(raw)
    assert min(p.p_t_holm for p in made if p.p_t_holm is not None) == pytest.approx(len(raw) * smallest)
    assert max(p.p_t_holm for p in made if p.p_t_holm is not None) >= largest
    for pair in made:
        assert pair.p_exact is not None
        assert pair.p_exact_holm is not None
        assert pair.p_exact_holm >= pair.p_exact
