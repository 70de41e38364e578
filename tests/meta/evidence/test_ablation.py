"""Every change since an ancestor can be taken back, and what is left is valid and otherwise the child."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloop.files.org_file import OrgFile, write_files
from metaloop.files.org_space import ORG_SPACE
from metaloop.meta.evidence.ablation import ablations, undone
from metaloop.meta.evidence.changes import changes, match, same_organization
from metaloop.meta.evidence.variant import Variant, to_run
from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.operator import Ground
from metaloop.meta.mutations.parametric import mutate
from metaloop.meta.mutations.registry import operators
from tests.meta.evidence.made import GROUPS, LIBRARY, SHIPPED, named

STANDUP = SHIPPED["daily-standup"]


def descendant(seed: int, steps: int) -> tuple[OrgFile, OrgFile]:
    """A shipped organization and what became of it by so many mutations of any kind."""
    rng = random.Random(seed)
    ground = Ground(LIBRARY, GROUPS, tuple(SHIPPED.values()))
    parent = child = SHIPPED[rng.choice(sorted(SHIPPED))]
    for _ in range(steps):
        mutated = rng.choice(operators(None)).apply(child, ground, rng)
        child = mutated.organization if mutated else child
    return parent, named(child)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_all_changes_taken_back_give_the_ancestor(seed: int, steps: int) -> None:
    parent, child = descendant(seed, steps)
    back = undone(parent, child, changes(parent, child))
    assert back is not None
    assert {k.name: back.settings[k.name] for k in ORG_SPACE} == {k.name: parent.settings[k.name] for k in ORG_SPACE}
    effective = [sorted((m.role, m.team, repr(sorted(m.policy.items()))) for m in o.to_organization().members)
                 for o in (back, parent)]  # fmt: skip
    assert effective[0] == effective[1]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_every_change_is_in_one_variant_that_lacks_it(seed: int, steps: int) -> None:
    parent, child = descendant(seed, steps)
    units, variants = changes(parent, child), ablations(parent, child)
    told = [label for variant in variants for label in (variant.change, *variant.along.split("; "))]
    assert {unit.label for unit in units} <= set(told)
    for variant in variants:
        assert variant.organization.to_organization().members
        assert variant.organization.document.text != child.document.text or variant.diff
        assert (variant.name == child.name) == same_organization(variant.organization, child)
    names = [v.name for v in variants if v.name not in (parent.name, child.name)]
    for variant in variants:
        if names.count(variant.name) > 1:
            twins = [v.organization for v in variants if v.name == variant.name]
            assert all(same_organization(twins[0], twin) for twin in twins)


def by_change(variants: tuple[Variant, ...]) -> dict[str, Variant]:
    return {variant.change: variant for variant in variants}


def test_one_line_taken_back_is_the_parent_s_line_again() -> None:
    values = {"local-proposer: boldness": 0.5, "cadence.lookahead": 3, "local-proposer: count": 4}
    child = named(mutate(STANDUP, values))
    found = by_change(ablations(STANDUP, child))
    assert sorted(found) == [
        "cadence.lookahead 1 -> 3",
        "local-proposer: boldness 0.25 -> 0.5",
        "local-proposer: count 2 -> 4",
    ]
    lookahead = found["cadence.lookahead 1 -> 3"]
    assert lookahead.name == "undo-cadence-lookahead"
    assert lookahead.diff == ("-  lookahead: 1", "+  lookahead: 3")
    assert [child.document.text.splitlines()[line - 1] for line in lookahead.lines] == ["  lookahead: 3"]
    assert lookahead.organization.settings["cadence.lookahead"] == 1
    boldness = found["local-proposer: boldness 0.25 -> 0.5"]
    assert boldness.diff == ("+      boldness: 0.5",)
    assert boldness.organization.members[0].count == 4


def test_what_cannot_stand_alone_goes_together_and_says_so() -> None:
    parent, child = SHIPPED["solo-greedy"], STANDUP
    found = by_change(ablations(parent, child))
    director = found["director added"]
    assert director.along == "sharing all -> standup; cadence.standup_every 0 -> 20"
    assert director.organization.settings["sharing"] == "all"
    assert director.organization.settings["cadence.standup_every"] == 0
    standups = found["cadence.standup_every 0 -> 20"]
    assert standups.along == "sharing all -> standup"
    assert "director" in standups.organization.roles
    assert found["sharing all -> standup"].along == ""


def test_what_was_removed_comes_back_where_it_stood() -> None:
    draft = Draft.of(STANDUP)
    child = named(draft.take_out(4).take_out(2).finish())  # the director and the combiner
    found = by_change(ablations(STANDUP, child))
    assert [entry.role for entry in found["combiner removed"].organization.members][2] == "combiner"
    sharing = found["sharing standup -> all"]
    assert sharing.along == "cadence.standup_every 20 -> 0; director removed"
    assert sharing.organization.settings["sharing"] == "standup"
    assert sharing.lines == (6, 11)
    assert found["director removed"].lines == ()


def test_the_only_change_taken_back_is_the_ancestor_and_bears_its_name() -> None:
    (variant,) = ablations(STANDUP, named(mutate(STANDUP, {"cadence.lookahead": 5})))
    assert variant.name == "daily-standup"
    assert to_run([variant], ("daily-standup",)) == {}


def test_what_nobody_reads_bears_the_name_of_the_child() -> None:
    draft = Draft.of(STANDUP).put(("members", 0, "policy", "startup_trials"), 3)  # a local proposer never looks at it
    (variant,) = ablations(STANDUP, named(draft.finish()))
    assert variant.name == "evolved"
    assert variant.change == "local-proposer: startup_trials 10 -> 3"


def test_a_swapped_role_is_one_change_and_keeps_its_place() -> None:
    draft = Draft.of(STANDUP).know(LIBRARY["careful-proposer"]).put(("members", 0, "role"), "careful-proposer")
    found = by_change(ablations(STANDUP, named(draft.finish())))
    swapped = found["careful-proposer in the place of local-proposer"]
    assert swapped.organization.members[0] == STANDUP.members[0]
    assert len(found) == 1


def test_links_teams_and_models_are_changes_of_their_own() -> None:
    parent = SHIPPED["careful-lab"]
    draft = Draft.of(parent).put(("members", 0, "links"), ["gain-reviewer"]).put(("members", 1, "team"), "red")
    found = by_change(ablations(parent, named(draft.finish())))
    assert sorted(found) == [
        "careful-proposer: links none -> [gain-reviewer]",
        "local-proposer: team none -> red",
    ]
    assert found["local-proposer: team none -> red"].organization.members[1].team == ""


def test_a_link_and_the_member_it_names_go_together() -> None:
    parent = SHIPPED["careful-lab"]
    draft = Draft.of(parent)
    draft = draft.add(draft.after("merger"), {"role": "batch-merger"}, LIBRARY["batch-merger"])
    child = draft.put(("members", 0, "links"), ["batch-merger"]).finish()
    child = named(child)
    found = by_change(ablations(parent, child))
    without = found["batch-merger added"].organization
    assert without.members[0].links == ()
    assert len(found["careful-proposer: links none -> [batch-merger]"].organization.members) == len(child.members)


def test_a_variant_can_be_written_under_its_name(tmp_path: Path) -> None:
    child = named(mutate(STANDUP, {"cadence.lookahead": 5, "local-proposer: boldness": 0.6}))
    for name, organization in to_run(ablations(STANDUP, child), ()).items():
        assert write_files(organization, tmp_path / name).name == name


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_no_change_is_no_variant(name: str) -> None:
    assert ablations(SHIPPED[name], named(SHIPPED[name])) == ()


def test_entries_are_matched_by_what_they_are_and_only_within_a_kind() -> None:
    assert match(STANDUP, STANDUP) == tuple(range(len(STANDUP.members)))
    child = Draft.of(STANDUP).take_out(0).finish()
    assert match(STANDUP, child) == tuple(range(1, len(STANDUP.members)))
    other = SHIPPED["careful-lab"]
    for entry, was in zip(other.members, match(STANDUP, other), strict=True):
        assert was is None or other.kind(entry) == STANDUP.kind(STANDUP.members[was])


def test_a_child_without_a_name_of_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="both called 'daily-standup'"):
        ablations(STANDUP, mutate(STANDUP, {"cadence.lookahead": 5}))
