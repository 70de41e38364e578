"""Every policy knob of a merger changes its verdict."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import cauchy, t, ttest_1samp

from metaloop.brains.merging import one_sided_p, student_cdf
from metaloop.brains.registry import make_brain
from metaloop.vocabulary.decisions import Judge, Observation
from metaloop.vocabulary.records import Candidate
from tests.brains import worlds as w
from tests.brains.objective import Loop, Objective, member


def verdict(observation: Observation, **policy: object) -> Judge:
    decision = make_brain(member("merger", **policy), w.SPACE, 0, ()).decide(observation)
    assert isinstance(decision, Judge)
    assert decision.reason
    return decision


def said(about: Candidate, held: tuple[Candidate, ...] = (), spent: float = 0.5, **policy: object) -> str:
    return verdict(w.judge(about, held=held, budget_spent=spent), **policy).verdict


def holding(count: int) -> tuple[Candidate, ...]:
    return tuple(w.candidate(-0.01, number=20 + i, changes={"depth": 5 + i}) for i in range(count))


class TestGreedy:
    def test_better_merges_and_worse_does_not(self) -> None:
        assert said(w.candidate(-0.0001)) == "merge"
        assert said(w.candidate(0.0)) == "discard"

    def test_min_gain(self) -> None:
        assert said(w.candidate(-0.004), min_gain=0.005) == "discard"
        assert said(w.candidate(-0.006), min_gain=0.005) == "merge"

    @pytest.mark.parametrize(("delta", "expected"), [(-0.006, "merge"), (-0.003, "hold"), (-0.001, "discard")])
    def test_near_misses_are_those_that_miss_min_gain_by_little(self, delta: float, expected: str) -> None:
        assert said(w.candidate(delta), min_gain=0.005, near_miss=0.003) == expected

    def test_enough_near_misses_are_tried_together(self) -> None:
        policy = {"near_miss": 0.003, "batch_size": 3}
        assert said(w.candidate(0.001), holding(1), **policy) == "hold"
        answer = verdict(w.judge(w.candidate(0.001), held=holding(2)), **policy)
        assert (answer.verdict, answer.together) == ("combine", ("p20", "p21"))

    def test_a_near_miss_that_had_its_chance_is_discarded(self) -> None:
        assert said(w.candidate(0.001, combined=True), near_miss=0.003) == "discard"
        assert said(w.candidate(0.001, purpose="combination"), near_miss=0.003) == "discard"
        assert said(w.candidate(0.001, purpose="integration"), near_miss=0.003) == "discard"

    def test_a_training_that_failed_on_a_repeat_disqualifies(self) -> None:
        dead = w.outcome(9, {"lr": 0.02}, None, repeat=1)
        about = w.judge(w.candidate(-0.1), news=(w.BASELINE, dead))
        assert verdict(about).reason == "its training on repeat 1 has no score"


class TestStale:
    def test_a_stale_winner_is_trained_again(self) -> None:
        assert said(w.candidate(-0.01, stale=True)) == "retest"

    def test_a_stale_loser_is_not(self) -> None:
        assert said(w.candidate(0.01, stale=True)) == "discard"

    def test_who_beats_the_new_head_is_worth_a_retest_whatever_its_base(self) -> None:
        beats = w.candidate(0.01, stale=True, head_scores={0: w.BASE_BPB + 0.05})
        assert said(beats) == "retest"

    def test_trust_merges_on_its_own_delta(self) -> None:
        behind = w.candidate(-0.01, stale=True, head_scores={0: w.BASE_BPB - 0.3})
        assert said(behind, on_stale="trust") == "merge"

    def test_nothing_can_be_retested_at_the_end(self) -> None:
        assert said(w.candidate(-0.01, stale=True), spent=1.0) == "discard"


class TestTesting:
    def test_worse_at_first_sight_is_discarded_at_once(self) -> None:
        assert said(w.candidate(0.001), strategy="test") == "discard"

    def test_repeats_are_asked_one_by_one_until_there_are_enough(self) -> None:
        for n in (1, 2):
            answer = verdict(w.judge(w.candidate(*[-0.01] * n)), strategy="test", repeats=3)
            assert (answer.verdict, answer.repeats) == ("repeat", n + 1)
        assert said(w.candidate(-0.01, -0.01, -0.01), strategy="test", repeats=3) == "merge"

    def test_alpha(self) -> None:
        shaky = w.candidate(-0.01, -0.002, -0.006)
        assert said(shaky, strategy="test", alpha=0.1) == "merge"
        assert said(shaky, strategy="test", alpha=0.01) == "discard"

    def test_min_gain_is_asked_of_the_mean(self) -> None:
        assert said(w.candidate(-0.01, -0.011, -0.012), strategy="test", min_gain=0.02) == "discard"

    def test_one_repeat_is_greedy(self) -> None:
        assert said(w.candidate(-0.001), strategy="test", repeats=1) == "merge"

    def test_what_is_not_proven_when_the_budget_ends_is_discarded(self) -> None:
        assert said(w.candidate(-0.01), strategy="test", spent=1.0) == "discard"
        assert said(w.candidate(-0.01, -0.011), strategy="test", spent=1.0) == "merge"

    def test_a_head_that_failed_on_a_repeat_is_not_waited_for(self) -> None:
        """Else the merger would ask for that repeat for ever."""
        dead = msgspec.structs.replace(w.outcome(30, {}, None), repeat=1)
        about = w.candidate(-0.01, -0.01, head_scores={0: w.BASE_BPB})
        first = verdict(w.judge(about, news=(w.BASELINE, dead)), strategy="test", repeats=3)
        assert (first.verdict, first.repeats) == ("repeat", 3)
        both = w.candidate(-0.01, -0.01, -0.011, head_scores={0: w.BASE_BPB, 2: w.BASE_BPB})
        assert verdict(w.judge(both, news=(w.BASELINE, dead)), strategy="test", repeats=3).verdict == "merge"

    def test_a_trusted_stale_candidate_is_not_waited_for_either(self) -> None:
        stale = w.candidate(-0.01, -0.011, stale=True)
        assert said(stale, strategy="test", on_stale="trust") == "merge"


class TestBatch:
    def test_winners_wait_for_each_other(self) -> None:
        assert said(w.candidate(-0.01), strategy="batch") == "hold"
        assert said(w.candidate(-0.01), holding(2), strategy="batch", batch_size=3) == "combine"
        assert said(w.candidate(-0.01), holding(2), strategy="batch", batch_size=4) == "hold"

    def test_a_stale_winner_waits_too(self) -> None:
        assert said(w.candidate(-0.01, stale=True), strategy="batch") == "hold"

    def test_losers_are_discarded(self) -> None:
        assert said(w.candidate(0.01), holding(2), strategy="batch") == "discard"

    def test_a_combination_that_wins_merges(self) -> None:
        assert said(w.candidate(-0.01, purpose="combination", parts=("p1",)), strategy="batch") == "merge"
        assert said(w.candidate(0.01, purpose="combination", parts=("p1",)), strategy="batch") == "discard"

    def test_a_combination_must_beat_its_parts(self) -> None:
        news = (w.BASELINE, w.outcome(1, {"lr": 0.02}, -0.02), w.outcome(2, {"depth": 5}, -0.001))
        both = w.candidate(-0.01, purpose="combination", parts=("p1", "p2"), changes={"lr": 0.02, "depth": 5})
        answer = verdict(w.judge(both, news=news), strategy="batch")
        assert answer.verdict == "discard"
        assert "part p1" in answer.reason

    def test_parts_of_a_combination_that_failed_stand_alone(self) -> None:
        assert said(w.candidate(-0.01, combined=True), holding(3), strategy="batch") == "merge"
        assert said(w.candidate(0.01, combined=True), holding(3), strategy="batch") == "discard"
        assert said(w.candidate(-0.01, combined=True, stale=True), holding(3), strategy="batch") == "retest"

    def test_towards_the_end_nobody_waits(self) -> None:
        assert said(w.candidate(-0.01), spent=0.9, strategy="batch") == "merge"
        assert said(w.candidate(-0.01), holding(1), spent=0.9, strategy="batch") == "combine"
        assert said(w.candidate(-0.01), holding(2), spent=1.0, strategy="batch") == "merge"


def test_the_control_never_merges() -> None:
    assert said(w.candidate(-1.0), strategy="never") == "discard"


def test_repeats_make_fewer_false_merges() -> None:
    """Under heavy noise, the share of merges that the truth does not bear out."""

    def false_share(strategy: str) -> float:
        wrong = merges = 0
        for seed in range(4):
            objective = Objective(seed, noise=0.02)
            loop = Loop(objective, member("proposer"), member("merger", strategy=strategy), seed)
            while loop.trained < 90:
                before = dict(loop.config)
                loop.step()
                if loop.config != before:
                    merges += 1
                    wrong += objective.true(loop.config) >= objective.true(before)
        return wrong / merges

    assert false_share("test") < false_share("greedy")


@given(st.floats(-50, 50), st.integers(1, 30))
def test_student_cdf_is_scipys(x: float, df: int) -> None:
    # With one degree of freedom this is Cauchy's; SciPy's t is off by up to 3e-9 there for |x| < 1e-6.
    expected = cauchy.cdf(x) if df == 1 else t.cdf(x, df)
    assert student_cdf(x, df) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_one_sided_p_is_scipys(deltas: list[float]) -> None:
    values = tuple(round(d, 3) for d in deltas)
    if len(set(values)) > 1:
        assert one_sided_p(values) == pytest.approx(ttest_1samp(values, 0, alternative="less").pvalue, abs=1e-9)
    else:
        assert one_sided_p(values) == (0.0 if values[0] < 0 else 1.0)
