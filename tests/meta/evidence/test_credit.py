"""The organization without each of its members, as far as it can be without."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloop.meta.evidence.ablation import ablations
from metaloop.meta.evidence.credit import indispensable, without_each_member
from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.operator import Ground
from metaloop.meta.mutations.parametric import mutate
from metaloop.meta.mutations.registry import operators
from tests.meta.evidence.made import GROUPS, LIBRARY, SHIPPED, named

STANDUP = SHIPPED["daily-standup"]


def test_each_member_that_can_go_goes_alone() -> None:
    variants = {variant.change: variant for variant in without_each_member(STANDUP)}
    assert sorted(variants) == ["2 local-proposer", "combiner", "director", "explorer"]
    assert variants["combiner"].name == "without-combiner"
    assert "combiner" not in variants["combiner"].organization.roles
    assert variants["combiner"].along == ""
    assert len(variants["combiner"].organization.members) == len(STANDUP.members) - 1


def test_what_the_others_do_not_bear_goes_too_and_is_said() -> None:
    director = next(v for v in without_each_member(STANDUP) if v.change == "director")
    assert director.along == "sharing standup -> all; cadence.standup_every 20 -> 0"
    assert director.organization.settings["sharing"] == "all"


def test_the_last_of_a_needed_kind_stays_and_is_named() -> None:
    assert [who.member for who in indispensable(STANDUP)] == ["greedy-merger"]
    assert "last merger" in indispensable(STANDUP)[0].reason
    solo = SHIPPED["solo-greedy"]
    assert [who.member for who in indispensable(solo)] == ["local-proposer", "greedy-merger"]
    assert without_each_member(solo) == ()


def test_of_several_last_ones_all_but_one_go() -> None:
    crowd = mutate(SHIPPED["solo-greedy"], {"local-proposer: count": 4})
    (variant,) = without_each_member(crowd)
    assert variant.change == "3 of 4 local-proposer"
    assert variant.organization.members[0].count == 1
    assert variant.along == ""


def test_a_member_that_was_added_is_run_once_for_ablation_and_credit() -> None:
    draft = Draft.of(STANDUP)
    child = named(draft.add(1, {"role": "careful-proposer"}, LIBRARY["careful-proposer"]).finish())
    known = ablations(STANDUP, mutate(child, {"cadence.lookahead": 3}))
    credits = {v.change: v.name for v in without_each_member(mutate(child, {"cadence.lookahead": 3}), known)}
    assert credits["careful-proposer"] == "undo-careful-proposer-added"
    assert credits["explorer"] == "without-explorer"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000))
def test_every_entry_is_left_out_or_indispensable(seed: int) -> None:
    rng = random.Random(seed)
    ground = Ground(LIBRARY, GROUPS, tuple(SHIPPED.values()))
    child = SHIPPED[rng.choice(sorted(SHIPPED))]
    for _ in range(3):
        mutated = rng.choice(operators(None)).apply(child, ground, rng)
        child = mutated.organization if mutated else child
    variants, last = without_each_member(child), indispensable(child)
    counted = sum(entry.count > 1 for entry in child.members if child.kind(entry) in ("proposer", "merger"))
    assert len(child.members) - len(last) <= len(variants) <= len(child.members) - len(last) + counted
    members = child.to_organization().members
    for variant in variants:
        assert len(variant.organization.to_organization().members) < len(members)
