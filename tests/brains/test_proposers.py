"""Every policy knob of a proposer changes what it does."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloop.brains.registry import make_brain
from metaloop.vocabulary.decisions import Observation, Pass, Propose, Steering
from metaloop.vocabulary.records import Config, Head, Idea, Outcome, effective
from metaloop.vocabulary.space import Knob, Space
from tests.brains import worlds as w
from tests.brains.objective import Loop, Objective, member


def asked(observations: Iterable[Observation], space: Space = w.SPACE, **policy: object) -> list[Propose]:
    """What a proposer of that policy proposes; each observation is put to a newborn brain."""
    found = []
    for observation in observations:
        decision = make_brain(member("proposer", **policy), space, 1, ()).decide(observation)
        if isinstance(decision, Propose):
            found.append(decision)
    return found


def many(news: tuple[Outcome, ...] = (w.BASELINE,), count: int = 60, **fields: object) -> list[Observation]:
    return [w.propose(i, news, **fields) for i in range(count)]


def steps(proposals: list[Propose], head: Config | None = None) -> list[float]:
    """Lengths of all numeric steps, in units of the range."""
    found = []
    for proposal in proposals:
        for name, value in proposal.changes.items():
            knob = w.SPACE[name]
            if knob.kind == "float":
                found.append(abs(knob.to_unit(value) - knob.to_unit((head or {}).get(name, knob.default))))
    return found


class TestLocal:
    def test_boldness_is_the_length_of_a_step(self) -> None:
        short, long = (steps(asked(many(), boldness=b)) for b in (0.03, 0.3))
        assert max(short) < 0.04
        assert max(long) > 0.2

    def test_the_director_can_make_it_bolder(self) -> None:
        bold = many(steering=Steering((), 3.0))
        assert max(steps(asked(bold, boldness=0.03))) > 2 * max(steps(asked(many(), boldness=0.03)))

    def test_changes_per_proposal_bounds_the_knobs_that_move(self) -> None:
        assert {len(p.changes) for p in asked(many())} == {1}
        assert max(len(p.changes) for p in asked(many(), changes_per_proposal=4)) == 4

    @pytest.mark.parametrize("strategy", ["local", "random", "tpe", "ablation", "combine", "explore", "bayes"])
    def test_focus_is_kept(self, strategy: str) -> None:
        proposals = asked(many(count=5), strategy=strategy, focus=("architecture",))
        assert proposals
        assert {w.SPACE[n].group for p in proposals for n in p.changes} == {"architecture"}

    def test_steering_narrows_the_focus_but_never_leaves_it(self) -> None:
        narrowed = asked(many(steering=Steering(("optimizer",))))
        assert {w.SPACE[n].group for p in narrowed for n in p.changes} == {"optimizer"}
        stubborn = asked(many(steering=Steering(("optimizer",))), focus=("architecture",))
        assert {w.SPACE[n].group for p in stubborn for n in p.changes} == {"architecture"}

    def test_a_discarded_direction_is_not_tried_again_from_the_same_head(self) -> None:
        news = (w.BASELINE, w.outcome(1, {"lr": 0.05}, 0.001), w.outcome(2, {"act": "relu2"}, 0.001))
        assert not any(self._repeats(p) for p in asked(many(news)))

    def test_without_memory_it_is(self) -> None:
        news = (w.BASELINE, w.outcome(1, {"lr": 0.05}, 0.0001))
        assert any(p.changes.get("lr", 0.0) > 0.01 for p in asked(many(news), memory=0, focus=("optimizer",)))

    def test_a_moved_head_wipes_the_slate(self) -> None:
        news = (w.BASELINE, w.outcome(1, {"lr": 0.05}, 0.0001), w.outcome(2, {"decay": 0.3}, -0.01))
        moved = many(news, head=w.head({"decay": 0.3}, "c1", w.BASE_BPB - 0.01))
        assert any(p.changes.get("lr", 0.0) > 0.01 for p in asked(moved, follow_wins=0.0, focus=("optimizer",)))

    def test_when_all_directions_failed_it_steps_shorter(self) -> None:
        focus = ("regularization",)
        up, down = w.outcome(1, {"decay": 0.3}, 0.01), w.outcome(2, {"decay": 0.02}, 0.01)
        again = asked(many((w.BASELINE, up, down)), focus=focus)
        assert again
        assert sum(steps(again)) / len(again) < 0.5 * 0.2

    def _repeats(self, proposal: Propose) -> bool:
        lr, act = proposal.changes.get("lr"), proposal.changes.get("act")
        return (isinstance(lr, float) and lr > 0.01) or act == "relu2"

    def test_follow_wins_goes_further_the_same_way(self) -> None:
        win = w.outcome(1, {"lr": 0.02, "depth": 5}, -0.01)
        after = many((w.BASELINE, win), head=w.head(win.config, "c1", w.BASE_BPB - 0.01))
        step = w.SPACE["lr"].to_unit(0.02) - w.SPACE["lr"].to_unit(0.01)
        for proposal in asked(after, follow_wins=1.0):
            assert set(proposal.changes) == {"lr", "depth"}
            assert w.SPACE["lr"].to_unit(proposal.changes["lr"]) - w.SPACE["lr"].to_unit(0.02) > step
        never = asked(after, follow_wins=0.0)
        assert all(len(p.changes) == 1 for p in never)

    def test_what_paid_is_tried_more(self) -> None:
        wins = tuple(w.outcome(i, {"lr": 0.01 * 1.3**i}, -0.01 * i) for i in range(1, 4))
        losses = tuple(w.outcome(i, {"decay": 0.1 * i}, 0.02) for i in range(4, 8))
        names = [n for p in asked(many((w.BASELINE, *wins, *losses)), memory=0) for n in p.changes]
        assert names.count("lr") > 5 * max(1, names.count("decay"))

    def test_a_prediction_needs_a_past_and_has_its_sign(self) -> None:
        assert all(p.predicted_delta is None for p in asked(many(count=5)))
        win = w.outcome(1, {"lr": 0.02}, -0.05)
        further = asked(many((w.BASELINE, win), 5, head=w.head(win.config, "c1")), follow_wins=1.0)
        assert all(p.predicted_delta is not None and p.predicted_delta < 0 for p in further)

    def test_the_hypothesis_reads_as_a_line(self) -> None:
        (proposal,) = asked([w.propose()], focus=("regularization",))
        assert proposal.hypothesis.startswith("decay 0.1 -> ")
        assert "(regularization)" in proposal.hypothesis

    def test_screening_is_passed_on(self) -> None:
        (proposal,) = asked([w.propose()], screen_fraction=0.25, screen_margin=0.04, screen_keep=0.3)
        assert (proposal.screen_fraction, proposal.screen_margin, proposal.screen_keep) == (0.25, 0.04, 0.3)

    def test_what_is_on_its_way_is_not_proposed(self) -> None:
        space = Space((Knob("a", "g", "bool", False, choices=(False, True)),))
        brain = make_brain(member("proposer"), space, 1, ())
        assert isinstance(brain.decide(w.propose(pending=({"a": True},))), Pass)

    def test_a_decision_is_fast(self) -> None:
        loop = Loop(Objective(0), member("proposer"))
        loop.run(120)
        quiet = [msgspec.structs.replace(loop.observations[-1], news=(), index=i) for i in range(200)]
        began = time.perf_counter()
        for observation in quiet:
            loop.proposer.decide(observation)
        # 0.1 ms on an idle core; the bound leaves room for a busy machine.
        assert (time.perf_counter() - began) / len(quiet) < 1e-3


class TestWholeSpace:
    def test_random_says_every_knob_so_that_trunk_does_not_matter(self) -> None:
        (here,), (there,) = (
            asked([w.propose(3, head=head)], strategy="random") for head in (w.head(), w.head({"lr": 0.5}))
        )
        assert here.changes == there.changes
        assert set(here.changes) == set(w.DEFAULTS)

    def test_tpe_draws_at_random_before_it_trusts_its_model(self) -> None:
        good = tuple(w.outcome(i, {"decay": 0.9 + i / 1000}, -0.5) for i in range(6))
        bad = tuple(w.outcome(i + 6, {"decay": 0.05 + i / 100}, 0.5) for i in range(18))
        seen = many((w.BASELINE, *good, *bad), 12)
        early, late = (
            [float(p.changes["decay"]) for p in asked(seen, strategy="tpe", startup_trials=n)] for n in (100, 5)
        )
        assert sum(late) / len(late) > sum(early) / len(early) + 0.1

    def test_tpe_avoids_what_diverged_without_a_made_up_score(self) -> None:
        fine = tuple(w.outcome(i, {"decay": 0.05 * i, "lr": 0.02 + i / 1e4}, 0.0) for i in range(4, 16))
        dead = tuple(w.outcome(i + 20, {"lr": 0.5 + i / 100}, None) for i in range(24))
        (*late,) = asked(many((w.BASELINE, *fine, *dead), 12), strategy="tpe", startup_trials=5)
        assert sum(float(p.changes["lr"]) > 0.3 for p in late) <= 3

    def test_tpe_takes_notice_of_what_is_on_its_way(self) -> None:
        news = tuple(w.outcome(i, {"decay": i / 30}, (i - 15) ** 2 / 999) for i in range(30))
        alone = asked(many(news, 3), strategy="tpe", startup_trials=5)
        waiting = tuple({"decay": 0.5 + i / 1000} for i in range(10))
        beside = asked(many(news, 3, pending=waiting), strategy="tpe", startup_trials=5)
        assert [p.changes for p in alone] != [p.changes for p in beside]


class TestAblation:
    def test_it_goes_through_the_knobs_in_order(self) -> None:
        proposals = asked([w.propose(i) for i in range(20)], strategy="ablation")
        assert {n for p in proposals for n in p.changes} == set(w.DEFAULTS)
        assert {len(p.changes) for p in proposals} == {1}

    def test_log_knobs_double_and_halve(self) -> None:
        values = {
            p.changes["lr"] for p in asked(many(), strategy="ablation", focus=("optimizer",)) if "lr" in p.changes
        }
        assert {round(math.log2(float(v) / 0.01), 1) for v in values} == {1.0, -1.0}

    def test_merged_knobs_are_put_back_to_their_default(self) -> None:
        merged = w.head({"act": "swiglu", "decay": 0.5}, "c1")
        proposals = asked(many(head=merged), strategy="ablation")
        assert {"act": "gelu"} in [p.changes for p in proposals]
        assert {"decay": 0.1} in [p.changes for p in proposals]

    def test_it_passes_when_its_focus_is_exhausted(self) -> None:
        tried = tuple(w.outcome(i, {"decay": v}, 0.1) for i, v in enumerate((0.3, 0.0), 1))
        policy = member("proposer", strategy="ablation", focus=("regularization",))
        assert isinstance(make_brain(policy, w.SPACE, 1, ()).decide(w.propose(0, (w.BASELINE, *tried))), Pass)


class TestCombine:
    NEWS = (
        w.BASELINE,
        w.outcome(1, {"lr": 0.02}, 0.001),
        w.outcome(2, {"decay": 0.3}, -0.002),
        w.outcome(3, {"beta": 0.7}, 0.2),
    )

    def test_near_misses_are_joined_and_losers_are_not(self) -> None:
        proposals = asked(many(self.NEWS), strategy="combine")
        joined = [p.changes for p in proposals if len(p.changes) > 1]
        assert {"decay": 0.3, "lr": 0.02} in joined
        assert not any("beta" in changes for changes in joined)

    def test_what_was_joined_once_is_not_joined_again(self) -> None:
        both = w.outcome(4, {"decay": 0.3, "lr": 0.02}, 0.1)
        assert not [p for p in asked(many((*self.NEWS, both)), strategy="combine") if len(p.changes) > 1]


class TestExplore:
    def test_a_plateau_makes_it_bolder_and_wider(self) -> None:
        calm = asked(many(since_merge=2), strategy="explore", boldness=0.1, plateau_after=10)
        stuck = asked(many(since_merge=20), strategy="explore", boldness=0.1, plateau_after=10)
        assert max(steps(stuck)) > 2 * max(steps(calm))
        assert max(len(p.changes) for p in stuck) == 4
        mild = asked(many(since_merge=20), strategy="explore", boldness=0.1, plateau_after=10, broaden_factor=1.0)
        assert max(steps(mild)) == max(steps(calm))


class TestIdeas:
    IDEAS = (Idea("i1", "wider", "a person", {"width": 128}), Idea("i2", "prose only", "a person"))

    @pytest.mark.parametrize("strategy", ["local", "random", "tpe", "combine"])
    def test_idea_share(self, strategy: str) -> None:
        shown = many(count=8, ideas=self.IDEAS)
        assert all(p.idea == "i1" for p in asked(shown, strategy=strategy, idea_share=1.0))
        assert all(p.idea is None for p in asked(shown, strategy=strategy, idea_share=0.0))

    def test_an_idea_is_tried_once_whatever_the_head(self) -> None:
        news = (w.BASELINE, w.outcome(1, {"width": 128}, 0.1))
        moved = w.propose(0, news, ideas=self.IDEAS, head=w.head({"decay": 0.3}, "c1"))
        brain = make_brain(member("proposer", strategy="ideas"), w.SPACE, 1, ())
        assert isinstance(brain.decide(moved), Pass)

    def test_an_idea_for_another_target_is_left_alone(self) -> None:
        foreign = (Idea("i3", "more rope", "a paper", {"rope_base": 1e6}),)
        brain = make_brain(member("proposer", strategy="ideas"), w.SPACE, 1, ())
        assert isinstance(brain.decide(w.propose(ideas=foreign)), Pass)


KNOBS = st.one_of(
    st.builds(
        lambda low, span, at: Knob("x", "g", "float", low + span * at, low, low + span),
        st.floats(-10, 10),
        st.floats(0.001, 100),
        st.floats(0, 1),
    ),
    st.builds(
        lambda low, ratio, at: Knob("x", "g", "float", min(low * ratio, low * ratio**at), low, low * ratio, True),
        st.floats(1e-6, 10),
        st.floats(1.01, 1e6),
        st.floats(0, 1),
    ),
    st.builds(lambda low, span: Knob("x", "g", "int", low, low, low + span), st.integers(-5, 5), st.integers(1, 99)),
    st.builds(lambda high: Knob("x", "g", "int", 1, 1, high, True), st.integers(2, 999)),
    st.builds(lambda n: Knob("x", "g", "choice", "c0", choices=tuple(f"c{i}" for i in range(n))), st.integers(2, 5)),
    st.sampled_from([Knob("x", "g", "bool", value, choices=(False, True)) for value in (False, True)]),
)
SPACES = st.lists(KNOBS, min_size=1, max_size=6).map(
    lambda knobs: Space(tuple(msgspec.structs.replace(k, name=f"k{i}") for i, k in enumerate(knobs)))
)


@settings(max_examples=60, deadline=None)
@given(
    space=SPACES,
    strategy=st.sampled_from(["local", "random", "ablation", "combine", "explore"]),
    boldness=st.floats(0.01, 1.0),
    changes=st.integers(1, 12),
    deltas=st.lists(st.one_of(st.none(), st.floats(-0.3, 5.0)), min_size=8, max_size=8),
)
def test_proposals_are_valid_on_any_space(
    space: Space, strategy: str, boldness: float, changes: int, deltas: list[float | None]
) -> None:
    policy = member("proposer", strategy=strategy, boldness=boldness, changes_per_proposal=changes)
    brain = make_brain(policy, space, 3, ())
    config: Config = {}
    score, news = 2.0, [w.BASELINE]
    for index, delta in enumerate(deltas):
        decision = brain.decide(w.propose(index, tuple(news), head=Head("main", f"{config}", config, {0: score}, 0)))
        news = []
        if isinstance(decision, Pass):
            continue
        assert space.validate(decision.changes) == decision.changes
        trained = effective(config, decision.changes, space.defaults())
        assert trained != config
        bpb = None if delta is None else score + delta
        made = w.outcome(index + 1, decision.changes, delta, config=trained, bpb=bpb)
        news.append(made)
        if delta is not None and delta < 0:
            config, score = trained, score + delta
