"""The proposer that models whole configurations."""

from __future__ import annotations

import random

import msgspec

from metaloop.brains.registry import make_brain
from metaloop.vocabulary.decisions import Observation, Propose
from metaloop.vocabulary.records import Config, CurvePoint, Outcome
from tests.brains import worlds as w
from tests.brains.objective import Loop, Objective, member

SCREENING = {"startup_trials": 2, "screen_fraction": 0.25}


def trained(number: int, lr: float, bpb: float, at_look: float) -> Outcome:
    curve = (CurvePoint(0.25, 1.0, at_look), CurvePoint(1.0, 4.0, bpb))
    return w.outcome(number, {"lr": lr}, bpb - w.BASE_BPB, curve=curve, seconds=4.0)


def stopped(number: int, lr: float, at_look: float) -> Outcome:
    return w.outcome(number, {"lr": lr}, None, state="stopped", curve=(CurvePoint(0.25, 1.0, at_look),), seconds=1.0)


def proposal(observation: Observation, **policy: object) -> Propose:
    decision = make_brain(member("proposer", strategy="bayes", **policy), w.SPACE, 1, ()).decide(observation)
    assert isinstance(decision, Propose)
    return decision


def scored(count: int = 8) -> tuple[Outcome, ...]:
    """Trainings that say: a rate of 0.03 is best."""
    rates = [0.0005 * 2.5**i for i in range(count)]
    return (
        w.BASELINE,
        *(trained(i + 1, r, 1.9 + 0.3 * abs(r - 0.03), 3.0 + abs(r - 0.03)) for i, r in enumerate(rates)),
    )


def surveyed(count: int = 25) -> tuple[Outcome, ...]:
    """Whole draws of middling scores."""
    rng = random.Random(3)
    made = [w.BASELINE]
    for number in range(1, count):
        bpb = 2.1 + rng.random()
        curve = (CurvePoint(0.25, 1.0, bpb + 1.0), CurvePoint(1.0, 4.0, bpb))
        changes = {knob.name: knob.sample(rng) for knob in w.SPACE}
        made.append(w.outcome(number, changes, bpb - w.BASE_BPB, curve=curve, seconds=4.0))
    return tuple(made)


def far(changes: Config) -> int:
    """Knobs that differ from the baseline."""
    return sum(value != w.DEFAULTS[name] for name, value in changes.items())


def test_the_first_proposals_are_whole_draws() -> None:
    observations = [w.propose(i) for i in range(20)]
    assert sum(far(proposal(o, startup_trials=5).changes) for o in observations) / 20 > 5


def test_what_is_on_its_way_counts_towards_the_start() -> None:
    pending = tuple({"lr": 0.02 + i / 50} for i in range(5))
    assert proposal(w.propose(0, scored(2)), startup_trials=6).predicted_delta is None, "a draw predicts nothing"
    assert proposal(w.propose(0, scored(2), pending=pending), startup_trials=6).predicted_delta is not None


def test_a_proposal_names_every_knob_in_focus() -> None:
    for index in range(3):
        assert set(proposal(w.propose(index, scored()), startup_trials=2).changes) == set(w.DEFAULTS)
        narrow = proposal(w.propose(index, scored()), startup_trials=2, focus=("optimizer",))
        assert set(narrow.changes) == {"lr", "beta"}


def test_it_predicts_an_improvement_in_bpb() -> None:
    made = proposal(w.propose(0, scored()), startup_trials=2)
    assert made.predicted_delta is not None
    assert -0.2 < made.predicted_delta < 0.2


def test_a_promising_training_that_was_stopped_is_trained_to_its_end_unscreened() -> None:
    news = (*surveyed(), stopped(40, 0.031, 2.0))
    made = [proposal(w.propose(index, news), **SCREENING) for index in range(30)]
    again = [p for p in made if p.screen_fraction == 0.0]
    assert again
    for each in again:
        assert {n: v for n, v in each.changes.items() if v != w.DEFAULTS[n]} == {"lr": 0.031}


def test_a_hopeless_one_is_not() -> None:
    made = proposal(w.propose(0, (*surveyed(), stopped(40, 0.9, 9.0))), **SCREENING)
    assert made.changes["lr"] != 0.9
    assert made.screen_fraction == 0.25


def test_a_second_chance_on_its_way_is_not_given_again() -> None:
    news = (*surveyed(), stopped(40, 0.031, 2.0))
    made = proposal(w.propose(0, news, pending=({"lr": 0.031},)), **SCREENING)
    assert made.screen_fraction == 0.25


def test_what_lies_outside_its_focus_gets_no_second_chance() -> None:
    elsewhere = msgspec.structs.replace(
        stopped(40, 0.031, 2.0), config={"depth": 7, "lr": 0.031}, changes={"depth": 7, "lr": 0.031}
    )
    made = proposal(w.propose(0, (*surveyed(), elsewhere)), focus=("optimizer",), **SCREENING)
    assert set(made.changes) == {"beta", "lr"}
    assert made.screen_fraction == 0.25


def test_memory_bounds_the_trainings_that_are_fitted() -> None:
    decided = {str(proposal(w.propose(0, scored()), startup_trials=2, memory=m).changes) for m in (2, 300)}
    assert len(decided) == 2


class Cliffs(Objective):
    """Whatever differs in more than fifteen of the 35 knobs from the baseline fails."""

    def score(self, config: Config, repeat: int = 0) -> float | None:  # type: ignore[override]
        return super().score(config, repeat) if len(config) <= 15 else None


def test_where_far_draws_fail_it_comes_to_step_near() -> None:
    late = []
    for seed in range(3):
        loop = Loop(Cliffs(seed), member("proposer", strategy="bayes", startup_trials=4, memory=200), seed=seed)
        loop.run(45)
        failed = [outcome.bpb is None for outcome in loop.outcomes]
        assert sum(failed[1:5]) == 4
        late.append(sum(failed[-20:]))
    assert sum(late) < 30, "half of what it does late has a score, where every draw fails"


def test_it_is_far_better_than_random_on_the_synthetic_target() -> None:
    def total(strategy: str) -> float:
        proposer = member("proposer", strategy=strategy, memory=200)
        return sum(Loop(Objective(seed), proposer, seed=seed).run(40) for seed in range(3))

    assert total("bayes") > total("random") + 3 * 0.1
