"""A race is a fold over observations: whatever their order, it comes to the same end, within its budget."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloop.meta.racing.race import RaceState, begin, next_jobs, observe, survivors, verdict
from metaloop.meta.racing.sequential import EFFECTS
from metaloop.meta.racing.terms import Cut, Exit, Job, Observation, RaceTerms, Verdict
from metaloop.vocabulary.seeds import python_stream

BASE = RaceTerms(
    champion="parent", challengers=("a", "b", "c"), controls=("no-op", "twin"), twins=("twin",), goal="accept",
    alpha=0.05, drop_error=0.05, futility=0.05, effects=EFFECTS, least=4, most=40, every=1, control_blocks=10,
    cuts=(Cut(8, 2),), keep=0, budget=1000.0, job_cost=1.0,
)  # fmt: skip
EVERYBODY = ("parent", "a", "b", "c", "no-op", "twin")


def changed(**changes: object) -> RaceTerms:
    return msgspec.structs.replace(BASE, **changes)


class World:
    """What any job comes to: a normal score around the organization's mean, a crash now and then, a cost up to 1."""

    def __init__(self, seed: int, means: Mapping[str, float], crashes: Mapping[str, float]) -> None:
        self._seed, self._means, self._crashes = seed, means, crashes

    def __call__(self, job: Job) -> Observation:
        rng = python_stream(self._seed, "test-race", job.name, job.block)
        score = 5.0 + self._means.get(job.name, 0.0) + rng.gauss(0.0, 1.0)
        crashed = rng.random() < self._crashes.get(job.name, 0.0)
        return Observation(job.name, job.block, None if crashed else score, rng.uniform(0.3, 1.0))


def finish(state: RaceState, world: World) -> RaceState:
    while jobs := next_jobs(state):
        state = observe(state, map(world, jobs))
    return state


def race(terms: RaceTerms, world: World) -> Verdict:
    return verdict(finish(begin(terms), world))


worlds = st.builds(
    World,
    st.integers(0, 10**6),
    st.fixed_dictionaries({name: st.sampled_from([-1.0, 0.0, 0.5, 2.0]) for name in ("a", "b", "c", "twin")}),
    st.fixed_dictionaries({name: st.sampled_from([0.0, 0.0, 0.2, 1.0]) for name in ("parent", "a", "b", "twin")}),
)
all_terms = st.builds(
    changed,
    goal=st.sampled_from(["accept", "screen"]),
    futility=st.sampled_from([0.0, 0.05, 0.5]),
    least=st.integers(2, 6),
    most=st.integers(10, 20),
    every=st.integers(1, 5),
    control_blocks=st.integers(6, 12),
    cuts=st.sampled_from([(), (Cut(4, 2),), (Cut(3, 2), Cut(9, 1))]),
    keep=st.integers(0, 2),
    budget=st.sampled_from([36.0, 50.5, 200.0]),
)
few = settings(max_examples=15, deadline=None)


@few
@given(all_terms, worlds, st.randoms(use_true_random=False))
def test_neither_order_nor_repeats_matter(terms: RaceTerms, world: World, rng: random.Random) -> None:
    """Everything that anybody could ask for, in any order, in any batches, with repeats, some of it never asked for."""
    straight = finish(begin(terms), world)
    observations = [world(Job(name, block)) for name in EVERYBODY for block in range(terms.most)]
    observations += rng.sample(observations, 10)
    rng.shuffle(observations)
    state = begin(terms)
    while observations:
        size = rng.randint(1, 40)
        state, observations = observe(state, observations[:size]), observations[size:]
    assert verdict(state) == verdict(straight)
    assert (state.racing, state.left, state.accepted) == (straight.racing, straight.left, straight.accepted)


@few
@given(all_terms, worlds, st.data())
def test_a_killed_race_goes_on_from_what_was_observed(terms: RaceTerms, world: World, data: st.DataObject) -> None:
    whole = finish(begin(terms), world)
    known = list(whole.seen.values())
    prefix = known[: data.draw(st.integers(0, len(known)))]
    resumed = finish(observe(begin(terms), prefix), world)
    assert resumed == whole
    assert set(resumed.seen) == set(whole.seen)  # nothing is run that the uninterrupted race did not run


@few
@given(all_terms, worlds, st.randoms(use_true_random=False))
def test_the_budget_holds_whatever_is_in_flight(terms: RaceTerms, world: World, rng: random.Random) -> None:
    state, paid = begin(terms), 0.0
    while jobs := next_jobs(state):
        now = verdict(state)
        assert now.spent + len(jobs) * terms.job_cost <= terms.budget + 1e-6
        done = [world(job) for job in rng.sample(jobs, rng.randint(1, len(jobs)))]
        paid += math.fsum(observation.cost for observation in done)
        state = observe(state, done)
    end = verdict(state)
    assert end.spent == pytest.approx(paid)
    assert end.spent <= terms.budget + 1e-6
    assert end.org_runs == len(state.seen)
    assert end.blocks <= terms.most


@few
@given(all_terms, worlds)
def test_controls_are_never_accepted_and_only_the_proven_are(terms: RaceTerms, world: World) -> None:
    state = finish(begin(terms), world)
    end = verdict(state)
    assert end.ended is not None
    if end.accepted is None:
        assert end.ended != "accepted"
        return
    assert (terms.goal, end.ended) == ("accept", "accepted")
    assert end.accepted in terms.challengers
    standing = next(s for s in end.standings if s.name == end.accepted)
    assert standing.e_value >= terms.level() * (1 - 1e-9)
    assert standing.left is None


def test_controls_that_are_far_better_are_not_accepted_either() -> None:
    end = race(changed(futility=0.0), World(1, {"no-op": 20.0, "twin": 20.0}, {}))
    assert end.accepted is None
    assert {s.name: s.left for s in end.standings}["no-op"] == Exit(10, "control")


def test_the_better_one_is_accepted() -> None:
    end = race(BASE, World(2, {"b": 2.0}, {}))
    assert (end.accepted, end.ended) == ("b", "accepted")
    assert end.standings[0].name == "b"
    interval = end.standings[0].interval
    assert interval is not None
    assert interval[0] > 0


def test_the_best_of_several_proven_ones_is_accepted() -> None:
    """All three are proven at the first look that can prove anything."""
    end = race(changed(least=12), World(2, {"a": 5.0, "b": 9.0, "c": 6.0}, {}))
    assert (end.accepted, end.blocks) == ("b", 12)


def test_nobody_is_accepted_among_equals() -> None:
    """Twenty seeds; the proof is in test_sequential."""
    ends = [race(BASE, World(seed, {}, {})) for seed in range(20)]
    assert sum(end.accepted is not None for end in ends) <= 2
    assert not any(end.suspect for end in ends)


def test_a_look_waits_for_all_jobs_of_its_blocks() -> None:
    world, state = World(3, {"a": 3.0}, {}), begin(BASE)
    jobs = next_jobs(state)
    assert jobs == tuple(Job(name, block) for block in range(4) for name in ("parent", "a", "b", "c", "no-op", "twin"))
    for done, job in enumerate(jobs[:-1], start=1):
        state = observe(state, [world(job)])
        assert state.blocks == 0
        assert next_jobs(state) == jobs[done:]
        assert verdict(state).org_runs == done
    state = observe(state, [world(jobs[-1])])
    assert state.blocks == 4
    assert next_jobs(state)[0] == Job("parent", 4)


def test_results_that_nobody_asked_for_decide_nothing() -> None:
    state = begin(BASE)
    later = [Observation("a", block, 100.0, 1.0) for block in range(4, 40)]
    ahead = observe(state, [*later, Observation("stranger", 0, 1.0, 1.0)])
    assert verdict(ahead) == verdict(state)


def test_who_crashes_loses() -> None:
    """b is better whenever it has a score, and has one a third of the time."""
    end = race(changed(futility=0.0, cuts=()), World(4, {"b": 0.5}, {"b": 0.67}))
    assert end.accepted != "b"
    standing = next(s for s in end.standings if s.name == "b")
    assert standing.missing > 0
    assert standing.difference is not None
    assert standing.difference < 0


def test_a_champion_that_always_crashes_is_replaced() -> None:
    end = race(BASE, World(5, {}, {"parent": 1.0, "a": 1.0, "c": 1.0}))
    assert end.accepted == "b"


def test_a_race_in_which_everybody_crashes_accepts_nobody() -> None:
    end = race(BASE, World(5, {}, dict.fromkeys(EVERYBODY, 1.0)))
    assert end.accepted is None
    assert all(s.difference is None and s.interval is None for s in end.standings)


@pytest.mark.parametrize("difference", [6.0, -6.0])
def test_a_twin_that_differs_is_suspect(difference: float) -> None:
    assert race(changed(futility=0.0), World(6, {"twin": difference}, {})).suspect == ("twin",)


def test_another_control_that_differs_is_not_suspect() -> None:
    assert race(changed(futility=0.0), World(6, {"no-op": -6.0}, {})).suspect == ()


def test_the_beaten_leave() -> None:
    end = race(changed(futility=0.0, cuts=(), alpha=1e-9, most=80, twins=()), World(7, {"a": 4.0, "b": -1.0}, {}))
    left = {s.name: s.left for s in end.standings}
    assert left["b"] is not None
    assert left["b"].cause == "beaten"
    assert left["a"] is None


def test_the_hopeless_leave_an_accept_but_not_a_screen() -> None:
    world = World(8, {"a": -1.5, "b": -1.5, "c": -1.5}, {})
    accept = race(changed(drop_error=1e-9, cuts=()), world)
    assert {s.left.cause for s in accept.standings if s.left and s.name in BASE.challengers} == {"hopeless"}
    assert accept.ended == "field"
    screen = race(changed(goal="screen", drop_error=1e-9, cuts=(), budget=10_000.0), world)
    assert [s.left for s in screen.standings if s.name in BASE.challengers] == [None] * 3
    assert screen.ended == "blocks"


def test_the_cuts_keep_the_best() -> None:
    terms = changed(goal="screen", cuts=(Cut(4, 2), Cut(8, 1)), keep=1, drop_error=1e-9)
    state = finish(begin(terms), World(9, {"a": 0.0, "b": 3.0, "c": 6.0}, {}))
    assert state.ended == "field"
    assert (state.left["a"], state.left["b"]) == (Exit(4, "halved"), Exit(8, "halved"))
    assert survivors(state) == ("c",)


def test_survivors_are_better_than_the_champion_the_best_first() -> None:
    terms = changed(goal="screen", cuts=(), drop_error=1e-9, most=6, twins=())
    state = finish(begin(terms), World(10, {"a": 3.0, "b": -3.0, "c": 6.0}, {}))
    assert survivors(state) == ("c", "a")


def test_where_the_budget_does_not_pay_for_all_the_controls_and_then_the_weakest_leave() -> None:
    exact = World(0, {"a": 0.0, "b": 50.0, "c": 25.0}, {})

    def costly(job: Job) -> Observation:
        return msgspec.structs.replace(exact(job), cost=1.0)

    state = begin(changed(budget=4 * 6 + 3, futility=0.0, cuts=(), drop_error=1e-9))
    while jobs := next_jobs(state):
        state = observe(state, map(costly, jobs))
    assert {name: left.cause for name, left in state.left.items()} == dict.fromkeys(
        ("a", "b", "c", "no-op", "twin"), "budget"
    )
    assert [state.left[name].blocks for name in ("no-op", "twin", "a", "c", "b")] == [4, 4, 4, 5, 5]
    assert verdict(state).spent == 27
    assert state.ended == "budget"


def test_the_controls_stop_after_their_blocks() -> None:
    state = finish(begin(changed(futility=0.0, cuts=())), World(11, {}, {}))
    assert state.left["twin"] == Exit(10, "control")
    assert Job("twin", 9) in state.seen
    assert Job("twin", 10) not in state.seen


def test_two_results_of_one_job_are_refused() -> None:
    state = observe(begin(BASE), [Observation("a", 0, 1.0, 1.0)])
    assert observe(state, [Observation("a", 0, 1.0, 1.0)]) == state
    with pytest.raises(ValueError, match="two different results of a on block 0"):
        observe(state, [Observation("a", 0, 2.0, 1.0)])


@pytest.mark.parametrize(
    ("observation", "said"),
    [
        (Observation("a", 3, math.nan, 1.0), "a on block 3 has the score nan"),
        (Observation("a", 3, math.inf, 1.0), "score inf; an org run that crashed has None"),
        (Observation("a", 3, 1.0, -1.0), "cost -1.0"),
        (Observation("a", 3, 1.0, math.nan), "cost nan"),
    ],
)
def test_results_that_are_no_numbers_are_refused(observation: Observation, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        observe(begin(BASE), [observation])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"challengers": ("a", "parent")}, "unique"),
        ({"controls": ("a", "twin")}, "unique"),
        ({"challengers": ()}, "nobody challenges"),
        ({"twins": ("a",)}, "one of the controls"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": math.nan}, "alpha"),
        ({"drop_error": 1.0}, "drop_error"),
        ({"futility": 1.0}, "futility"),
        ({"effects": ()}, "effects"),
        ({"effects": (0.3, -1.0)}, "effects"),
        ({"effects": (0.3, math.nan)}, "effects"),
        ({"least": 1}, "least"),
        ({"most": 3}, "least"),
        ({"every": 0}, "every"),
        ({"cuts": (Cut(8, 0),)}, "a cut keeps"),
        ({"cuts": (Cut(0, 2),)}, "a cut keeps"),
        ({"keep": -1}, "keep"),
        ({"job_cost": 0.0}, "costs something"),
        ({"job_cost": math.inf}, "costs something"),
        ({"budget": math.nan}, "finite"),
        ({"budget": math.inf}, "finite"),
        ({"budget": 23.9}, "does not pay for 24 jobs"),
        ({"most": 5}, "too few for anybody to be accepted"),
        ({"control_blocks": 4}, "too few for any of them to be suspect"),
    ],
)
def test_terms_that_make_no_sense_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        begin(changed(**change))


def test_a_budget_of_thirds_pays_for_what_it_should() -> None:
    state = begin(changed(budget=0.1 * 24, job_cost=0.1))
    assert len(next_jobs(state)) == 24
