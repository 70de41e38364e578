"""What holds of every mutation: a valid child, the same for the same seed, and a diff that reads like a review."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloop.files.org_file import OrgFile
from metaloop.meta.mutations.operator import Ground, Mutated, Mutation
from metaloop.meta.mutations.registry import operators
from tests.mutated import MUTATIONS, PARENTS, SHIPPED, check_review, check_told, check_valid, ground_of
from tests.mutation_chains import chains, table

EACH_IN_THE_SUITE = 150
"""Of every kind; ``make mutations`` makes 10,000 of each."""


def test_names_are_unique_and_the_null_mutation_comes_first() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(names) == len(set(names)) == 17
    assert names[0] == "null"


def test_without_a_rewriter_there_is_no_textual_mutation() -> None:
    assert {mutation.name for mutation in MUTATIONS} - {m.name for m in operators(None)} == {"rewrite prose"}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
class TestEveryMutation:
    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(parent=st.sampled_from(sorted(PARENTS)), seed=st.integers(0, 2**32 - 1))
    def test_a_child_is_valid_told_and_reviewable(self, mutation: Mutation, parent: str, seed: int) -> None:
        ground = ground_of(PARENTS[parent])
        child = mutation.apply(PARENTS[parent], ground, random.Random(seed))
        if child is None:
            return
        check_told(mutation, PARENTS[parent], child)
        check_review(mutation, PARENTS[parent], child, ground, seed)
        check_valid(child)

    def test_it_applies_somewhere_and_in_more_than_one_way(self, mutation: Mutation) -> None:
        told = {child.change for parent in PARENTS.values() for child in _made(mutation, parent, range(3))}
        assert len(told) > (0 if mutation.name == "null" else 2), told

    def test_control_is_not_inherited(self, mutation: Mutation) -> None:
        made = [child for name in ("no-op", "solo-greedy", "tpe") for child in _made(mutation, SHIPPED[name], range(4))]
        assert all(not child.organization.settings["control"] for child in made)

    def test_the_parent_stays_as_it_was(self, mutation: Mutation) -> None:
        parent = PARENTS["rich"]
        digest, entries = parent.digest, parent.members
        _made(mutation, parent, range(3))
        assert (parent.digest, parent.members) == (digest, entries)

    def test_an_empty_ground_is_enough(self, mutation: Mutation) -> None:
        for parent in PARENTS.values():
            child = mutation.apply(parent, Ground({}, ()), random.Random(3))
            if child is not None:
                check_valid(child)


def _made(mutation: Mutation, parent: OrgFile, seeds: range) -> list[Mutated]:
    made = [mutation.apply(parent, ground_of(parent), random.Random(seed)) for seed in seeds]
    return [child for child in made if child is not None]


@pytest.mark.parametrize("name", ["cross member", "cross kind"])
def test_an_organization_is_not_crossed_with_itself(name: str) -> None:
    parent = SHIPPED["tpe"]
    mutation = next(m for m in MUTATIONS if m.name == name)
    alone = replace(ground_of(parent), population=(parent,))
    assert mutation.apply(parent, alone, random.Random(0)) is None


@pytest.mark.long
def test_chains_of_mutations_stay_valid() -> None:
    tallies = list(chains(EACH_IN_THE_SUITE, seed=0))[-1]
    assert [fault for tally in tallies.values() for fault in tally.invalid] == [], table(tallies)
    assert min(tally.applied for tally in tallies.values()) >= EACH_IN_THE_SUITE
