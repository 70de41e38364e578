"""Every policy knob of a reviewer changes its vote, and every objection says what was found and what is asked."""

from __future__ import annotations

from metaloop.brains.registry import make_brain
from metaloop.vocabulary.decisions import Observation, Review
from metaloop.vocabulary.records import Config, Outcome
from tests.brains import worlds as w
from tests.brains.objective import member


def vote(observation: Observation, **policy: object) -> Review:
    decision = make_brain(member("reviewer", **policy), w.SPACE, 0, ()).decide(observation)
    assert isinstance(decision, Review)
    return decision


def told(*outcomes: tuple[Config, float | None]) -> tuple[Outcome, ...]:
    return (w.BASELINE, *(w.outcome(i, changes, delta) for i, (changes, delta) in enumerate(outcomes, 1)))


def test_a_fresh_small_change_passes() -> None:
    assert vote(w.review({"lr": 0.02})).approve


class TestDiscarded:
    def test_the_same_direction_from_the_same_head_is_refused(self) -> None:
        answer = vote(w.review({"lr": 0.02}, told(({"lr": 0.05}, 0.003))))
        assert not answer.approve
        assert answer.reason == "lr + was tried from this head in e1: +0.0030 bpb"

    def test_a_diverged_training_is_a_discard_too(self) -> None:
        assert vote(w.review({"lr": 0.02}, told(({"lr": 0.05}, None)))).reason.endswith("e1: diverged")

    def test_the_other_direction_passes(self) -> None:
        assert vote(w.review({"lr": 0.005}, told(({"lr": 0.05}, 0.003)))).approve

    def test_something_new_beside_it_passes(self) -> None:
        assert vote(w.review({"lr": 0.02, "depth": 5}, told(({"lr": 0.05}, 0.003)))).approve

    def test_another_head_is_another_matter(self) -> None:
        news = (w.BASELINE, w.outcome(1, {"decay": 0.5}, -0.1), w.outcome(2, {"lr": 0.05}, 0.01, {"decay": 0.5}))
        assert vote(w.review({"lr": 0.02}, news)).approve

    def test_the_check_can_be_switched_off(self) -> None:
        assert vote(w.review({"lr": 0.02}, told(({"lr": 0.05}, 0.003))), refuse_discarded=False).approve

    def test_memory_bounds_it(self) -> None:
        later = [({"depth": 5 + i}, -0.01) for i in range(3)]
        news = told(({"lr": 0.05}, 0.003), *later)
        assert vote(w.review({"lr": 0.02}, news), memory=3).approve
        assert not vote(w.review({"lr": 0.02}, news), memory=4).approve


class TestNovelty:
    NEWS = told(({"lr": 0.05}, -0.1))

    def test_too_close_to_something_tried(self) -> None:
        answer = vote(w.review({"lr": 0.055}, self.NEWS), novelty=0.05)
        assert not answer.approve
        assert answer.reason.startswith("differs from e1 by 0.01")

    def test_far_enough(self) -> None:
        assert vote(w.review({"lr": 0.3}, self.NEWS), novelty=0.05).approve
        assert vote(w.review({"act": "relu2"}, self.NEWS), novelty=0.5).approve

    def test_the_least_step_from_the_head_counts(self) -> None:
        assert "differs from the head" in vote(w.review({"lr": 0.0105}), novelty=0.05).reason

    def test_what_is_on_its_way_counts_but_not_the_proposal_itself(self) -> None:
        alone = w.review({"lr": 0.05})
        beside = w.review({"lr": 0.05})
        beside = type(beside)(
            **{f: getattr(beside, f) for f in beside.__struct_fields__} | {"pending": ({"lr": 0.051}, {"lr": 0.05})}
        )
        assert vote(alone, novelty=0.05).approve
        assert "on its way" in vote(beside, novelty=0.05).reason


def test_max_changes() -> None:
    changes: Config = {"lr": 0.02, "depth": 5, "decay": 0.3}
    assert vote(w.review(changes), max_changes=3).approve
    assert vote(w.review(changes), max_changes=2).reason == "changes 3 knobs at once, at most 2 are allowed"


def test_a_knob_that_keeps_its_value_is_no_change() -> None:
    assert vote(w.review({"lr": 0.02, "depth": 4, "decay": 0.1}), max_changes=1).approve


class TestPredictedGain:
    def test_the_authors_prediction(self) -> None:
        assert vote(w.review({"lr": 0.02}, predicted=-0.004), min_predicted_gain=0.003).approve
        answer = vote(w.review({"lr": 0.02}, predicted=-0.002), min_predicted_gain=0.003)
        assert answer.reason == "its author predicts a gain of 0.0020 bpb, at least 0.003 is asked"

    def test_zero_switches_it_off(self) -> None:
        assert vote(w.review({"lr": 0.02}, predicted=+0.1)).approve

    def test_who_says_nothing_is_not_held_to_it(self) -> None:
        assert vote(w.review({"lr": 0.02}), min_predicted_gain=0.003).approve

    def test_the_neighbours_prediction(self) -> None:
        policy = {"min_predicted_gain": 0.003, "predictor": "neighbours", "refuse_discarded": False}
        news = told(({"lr": 0.03}, -0.01), ({"decay": 0.5}, 0.02), ({"lr": 0.04}, -0.006))
        assert vote(w.review({"lr": 0.02}, news, predicted=1.0), **policy).approve
        assert "similar changes" in vote(w.review({"decay": 0.3}, news, predicted=-1.0), **policy).reason
        assert vote(w.review({"act": "relu2"}, news), **policy).approve, "nothing alike was tried"
