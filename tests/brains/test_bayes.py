"""The proposer that models whole configurations."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from metaloop.brains.registry import make_brain
from metaloop.brains.variation import DISTANCES, Reaches
from metaloop.vocabulary.decisions import Observation, Propose, Steering
from metaloop.vocabulary.records import Config, CurvePoint, Outcome
from tests.brains import worlds as w
from tests.brains.objective import Loop, Objective, member


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


def test_its_own_focus_is_open_once_nothing_was_merged_for_long() -> None:
    brain = make_brain(
        member("proposer", strategy="bayes", startup_trials=2, focus=("optimizer",), plateau_after=10), w.SPACE, 1, ()
    )
    lasting = [(0, 9), (1, 10), (2, 0)]
    named = []
    for index, since in lasting:
        made = brain.decide(msgspec.structs.replace(w.propose(index, scored()), since_merge=since))
        assert isinstance(made, Propose)
        named.append(set(made.changes))
    assert named == [{"lr", "beta"}, set(w.DEFAULTS), set(w.DEFAULTS)], "for good: a merge does not close it again"


def test_a_directors_focus_holds_beyond_its_own() -> None:
    observation = msgspec.structs.replace(
        w.propose(0, scored()), since_merge=10, steering=Steering(focus=("architecture",))
    )
    made = proposal(observation, startup_trials=2, focus=("optimizer",), plateau_after=10)
    assert made.changes
    assert {w.SPACE[name].group for name in made.changes} == {"architecture"}


def test_it_predicts_an_improvement_in_bpb() -> None:
    made = proposal(w.propose(0, scored()), startup_trials=2)
    assert made.predicted_delta is not None
    assert -0.2 < made.predicted_delta < 0.2


def test_what_was_stopped_counts_with_what_its_curve_promises() -> None:
    """Nothing at a low rate reads badly, everything at a high one well: it looks where it reads well."""
    low = [stopped(number, 0.0001 * number, 9.0) for number in range(20, 28)]
    high = [stopped(number, 0.5 + number / 100, 3.0) for number in range(30, 38)]
    news = (w.outcome(0, {}, 0.0, seconds=4.0), trained(1, 0.02, 2.0, 4.0), *low, *high)
    rates = [proposal(w.propose(index, news), startup_trials=2).changes["lr"] for index in range(9)]
    assert sum(float(rate) > 0.02 for rate in rates) >= 7  # type: ignore[arg-type]


def test_memory_bounds_the_trainings_that_are_fitted() -> None:
    decided = {str(proposal(w.propose(0, scored()), startup_trials=2, memory=m).changes) for m in (2, 300)}
    assert len(decided) == 2


class Cliffs(Objective):
    """Whatever differs in more than fifteen of the 35 knobs from the baseline fails."""

    def score(self, config: Config, repeat: int = 0) -> float | None:  # type: ignore[override]
        return super().score(config, repeat) if len(config) <= 15 else None


@pytest.mark.xfail(
    strict=True,
    reason="not reached: 32 of 60. On twelve such landscapes 65 in 100 late trainings fail, and 63 in 100 did while "
    "these three had under 50 (docs/LOG.md, 2026-11-25); issue 4",
)
def test_where_far_draws_fail_it_comes_to_step_near() -> None:
    late = []
    for seed in range(3):
        loop = Loop(Cliffs(seed), member("proposer", strategy="bayes", startup_trials=4, memory=200), seed=seed)
        loop.run(45)
        failed = [outcome.bpb is None for outcome in loop.outcomes]
        assert sum(failed[1:5]) == 4
        late.append(sum(failed[-20:]))
    assert sum(late) < 30, "half of what it does late has a score, where every draw fails"


def on_cliffs() -> tuple[int, float]:
    """Late failures, of 120, and the summed gain (bpb) of six org runs."""
    loops = [
        Loop(Cliffs(s), member("proposer", strategy="bayes", startup_trials=4, memory=200), seed=s) for s in range(6)
    ]
    gained = sum(loop.run(45) for loop in loops)
    return sum(outcome.bpb is None for loop in loops for outcome in loop.outcomes[-20:]), gained


def test_the_guard_of_the_reaches_spares_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded, gained = on_cliffs()
    monkeypatch.setattr(Reaches, "allowed", lambda _self, _generator: np.ones(len(DISTANCES) + 1, dtype=bool))
    assert guarded < 0.8 * 120
    assert guarded < 0.9 * on_cliffs()[0]
    assert gained > 6 * 0.08


def test_it_is_far_better_than_random_on_the_synthetic_target() -> None:
    def total(strategy: str) -> float:
        proposer = member("proposer", strategy=strategy, memory=200)
        return sum(Loop(Objective(seed), proposer, seed=seed).run(40) for seed in range(3))

    assert total("bayes") > total("random") + 3 * 0.1
