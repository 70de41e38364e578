"""Members of another organization are taken over, as they were there."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from metaloop.files.markdown_edit import set_value, with_body
from metaloop.files.org_file import OrgFile, parse_organization
from metaloop.files.role_file import effective_policy
from metaloop.meta.mutations.crossover import CROSSOVER
from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.operator import Ground, Mutated
from tests.meta.mutations.small import diff, ground, outcomes, small
from tests.mutated import GROUPS, LIBRARY, PARENTS, SHIPPED, check_valid, with_model


def rewritten(parent: OrgFile, role: str, *prose: str) -> OrgFile:
    """The organization with other prose for one of its roles, as a textual mutation leaves it."""
    documents = {name: file.document for name, file in parent.roles.items()}
    documents[role] = with_body(documents[role], "\n".join(["# Changed", *prose]))
    return parse_organization(parent.document, None, documents)


def on(*population: OrgFile) -> Ground:
    return Ground(LIBRARY, GROUPS, population)


class TestCrossMember:
    def test_one_joins_or_takes_the_place_of_its_kind(self) -> None:
        parent = small()
        found = outcomes("cross member", parent, ground(population=("tpe",)))
        assert set(found) == {
            "members: local-proposer removed; members: tpe-proposer added".replace("members: l", "members: 2 l"),
            "members: tpe-proposer added",
            "members: greedy-merger removed; members: greedy-merger added",
            "members: greedy-merger added",
        }
        joined = found["members: tpe-proposer added"]
        assert diff(parent, joined) == ["+  - role: tpe-proposer"]

    def test_who_takes_a_place_takes_its_team(self) -> None:
        parent = small({"    count: 2   # a pair\n": "    team: red\n"})
        found = outcomes("cross member", parent, ground(population=("tpe",)))
        assert "members: local-proposer of team red removed; members: tpe-proposer of team red added" in found

    def test_a_director_brings_the_stand_ups_of_where_it_came_from(self) -> None:
        found = outcomes("cross member", small(), ground(population=("daily-standup",)), draws=100)
        (told,) = {line for line in found if "director" in line}
        assert told.startswith("members: director added; cadence.standup_every 0 -> 20")
        assert found[told].organization.settings["cadence.standup_seconds"] == 0.25

    def test_one_that_does_just_what_the_one_before_did_is_no_change(self) -> None:
        spelled_out = small({"  - role: dedup-reviewer\n": "  - role: dedup-reviewer\n    count: 1\n"})
        told = outcomes("cross member", spelled_out, on(small()), draws=100)
        assert "members: dedup-reviewer removed; members: dedup-reviewer added" not in told

    def test_nobody_to_cross_with(self) -> None:
        assert outcomes("cross member", small(), on(small())) == {}


class TestCrossKind:
    def test_all_of_a_kind_are_replaced(self) -> None:
        found = outcomes("cross kind", small(), ground(population=("careful-lab",)))
        kinds = [{e.role for e in c.organization.members} & set(SHIPPED["careful-lab"].roles) for c in found.values()]
        assert {"careful-proposer", "local-proposer", "ablation-proposer", "dedup-reviewer"} in kinds
        assert {"dedup-reviewer", "gain-reviewer", "strict-reviewer", "local-proposer"} in kinds
        assert {"testing-merger", "dedup-reviewer", "local-proposer"} in kinds
        assert len(kinds) == 3

    def test_reviewers_bring_their_quorum(self) -> None:
        found = outcomes("cross kind", small(), ground(population=("careful-lab",)))
        assert [line for line in found if line.endswith("quorum 0 -> 2")]

    def test_a_quorum_of_one_s_own_stays_where_it_can(self) -> None:
        parent = small({"members:": "quorum: 1\nmembers:"})
        found = outcomes("cross kind", parent, ground(population=("careful-lab",)))
        assert not [line for line in found if "quorum" in line]

    def test_without_proposers_in_teams_feature_branches_end(self) -> None:
        found = outcomes("cross kind", SHIPPED["specialists"], ground(population=("tpe",)))
        gone = next(c for c in found.values() if "tpe-proposer" in c.organization.roles)
        assert gone.organization.settings["branching"] == "trunk"


class TestNames:
    def test_another_role_of_the_same_name_is_named_after_where_it_came_from(self) -> None:
        donor = rewritten(SHIPPED["solo-greedy"], "local-proposer", "Leap.")
        found = outcomes("cross member", small(), on(donor))
        child = found["members: local-proposer-of-solo-greedy added"].organization
        roles = check_valid(Mutated(child, "", "")).roles
        assert roles["local-proposer-of-solo-greedy"].prose == "# Changed\nLeap."
        assert roles["local-proposer"].prose == SHIPPED["solo-greedy"].roles["local-proposer"].prose

    def test_the_same_role_is_not_taken_twice(self) -> None:
        donor = rewritten(SHIPPED["solo-greedy"], "local-proposer", "Leap.")
        once = outcomes("cross member", small(), on(donor))["members: local-proposer-of-solo-greedy added"].organization
        again = outcomes("cross member", once, on(donor), draws=100)
        assert "members: local-proposer-of-solo-greedy added" in again
        assert {name for c in again.values() for name in c.organization.roles if "-of-" in name} == {
            "local-proposer-of-solo-greedy"
        }

    def test_a_third_role_of_the_name_is_numbered_and_names_do_not_pile_up(self) -> None:
        parent = small()
        for version in range(4):
            donor = rewritten(SHIPPED["solo-greedy"], "local-proposer", f"Version {version}.")
            found = outcomes("cross member", parent, on(donor), draws=100)
            parent = next(c.organization for c in found.values() if len(c.organization.roles) > len(parent.roles))
        apart = sorted(name for name in parent.roles if "-of-" in name)
        assert apart == ["local-proposer-of-solo-greedy", *(f"local-proposer-of-solo-greedy-{n}" for n in (2, 3, 4))]
        other = rewritten(parent, apart[0], "Another again.")
        found = outcomes("cross member", parent, on(other), draws=200)
        names = {name for c in found.values() for name in c.organization.roles} - set(parent.roles)
        assert names == {"local-proposer-of-small"}


@pytest.mark.parametrize("mutation", CROSSOVER, ids=lambda mutation: mutation.name)
@pytest.mark.parametrize("parent", ["rich", "tpe", "careful-lab"])
def test_who_is_taken_over_decides_as_before(mutation: object, parent: str) -> None:
    """Policy, prose and brain come along; only the team is the new one's."""
    donors = (with_model(SHIPPED["daily-standup"]), SHIPPED["specialists"], PARENTS["rich"])
    for seed in range(12):
        child = mutation.apply(PARENTS[parent], on(*donors), random.Random(seed))  # type: ignore[attr-defined]
        if child is None:
            continue
        known = {terms for donor in (*donors, PARENTS[parent]) for terms in terms_of(donor)}
        assert set(terms_of(child.organization)) <= known


def terms_of(organization: OrgFile) -> Iterator[str]:
    """How every member decides: its brain, its policy, its role's prose."""
    for member, (_, entry) in zip(organization.to_organization().members, organization.named_members(), strict=True):
        role = organization.roles[entry.role]
        policy = effective_policy(role, entry.policy)
        yield repr((member.brain, sorted(policy.items()), role.prose))


def test_charter_and_cadence_stay_the_parent_s() -> None:
    parent = SHIPPED["careful-lab"]
    for child in outcomes("cross kind", parent, ground(population=("specialists", "tpe"))).values():
        assert child.organization.charter == parent.charter
        assert child.organization.settings["cadence.lookahead"] == 2
        assert child.organization.settings["branching"] == "trunk"


def test_a_role_of_the_donor_s_keeps_its_own_lines() -> None:
    donor = rewritten(SHIPPED["solo-greedy"], "local-proposer", "Leap.")
    child = outcomes("cross member", small(), on(donor))["members: local-proposer-of-solo-greedy added"].organization
    theirs, ours = donor.roles["local-proposer"].document, child.roles["local-proposer-of-solo-greedy"].document
    assert ours.text == set_value(theirs, ("name",), "local-proposer-of-solo-greedy").text
    assert Draft.of(child).names_clash() is False
