"""How members work together: links, sharing, stand-ups, quorum, branching."""

from __future__ import annotations

import pytest

from tests.meta.mutations.small import diff, ground, outcomes, small
from tests.mutated import PARENTS, SHIPPED

DIRECTOR = {"  - role: greedy-merger\n": "  - role: greedy-merger\n  - role: director\n"}
REVIEWERS = {"  - role: dedup-reviewer\n": "  - role: dedup-reviewer\n  - role: gain-reviewer\n    count: 2\n"}


class TestRewireLinks:
    def test_work_goes_to_some_of_those_it_could_go_to(self) -> None:
        parent = small(REVIEWERS)
        found = outcomes("rewire links", parent, draws=200)
        named = {link for child in found.values() for link in child.organization.members[0].links}
        assert named == {"dedup-reviewer", "gain-reviewer", "gain-reviewer-1", "gain-reviewer-2"}
        assert diff(parent, found["members[0].links [] -> [dedup-reviewer]"]) == ["+    links: [dedup-reviewer]"]

    def test_and_back_to_whom_it_goes_by_default(self) -> None:
        parent = small({**REVIEWERS, "# a pair\n": "# a pair\n    links: [dedup-reviewer]   # the strict one\n"})
        child = outcomes("rewire links", parent)["members[0].links [dedup-reviewer] -> []"]
        assert diff(parent, child) == ["-    links: [dedup-reviewer]   # the strict one"]

    def test_links_to_another_kind_stay(self) -> None:
        parent = small({**REVIEWERS, "# a pair\n": "# a pair\n    links: [greedy-merger]\n"})
        children = outcomes("rewire links", parent).values()
        assert children
        assert all(child.organization.members[0].links[0] == "greedy-merger" for child in children)

    def test_where_work_can_go_one_way_only_there_is_nothing_to_rewire(self) -> None:
        assert outcomes("rewire links", small()) == {}

    def test_a_director_may_point_at_some_proposers(self) -> None:
        found = outcomes("rewire links", small(DIRECTOR), draws=100)
        assert {"local-proposer-1", "local-proposer-2"} <= {
            link for child in found.values() for link in child.organization.members[-1].links
        }


class TestChangeSharing:
    def test_without_teams_and_directors_own_or_all(self) -> None:
        parent = small()
        found = outcomes("change sharing", parent)
        assert set(found) == {"sharing all -> own"}
        assert diff(parent, found["sharing all -> own"]) == ["+sharing: own"]

    def test_stand_ups_bring_who_holds_them(self) -> None:
        found = outcomes("change sharing", small(), ground("director"))
        told = "members: director added; sharing all -> standup; cadence.standup_every 0 -> {}"
        assert set(found) == {"sharing all -> own", *(told.format(n) for n in (5, 10, 20, 40))}

    def test_a_director_that_is_here_holds_them(self) -> None:
        parent = small({**DIRECTOR, "members:": "cadence: {standup_every: 7}\nmembers:"})
        assert "sharing all -> standup" in outcomes("change sharing", parent)

    def test_by_team_where_there_are_teams(self) -> None:
        parent = small({"count: 2   # a pair": "team: red"})
        assert set(outcomes("change sharing", parent)) == {"sharing all -> own", "sharing all -> team"}

    def test_only_its_line_changes(self) -> None:
        parent = SHIPPED["no-op"]
        child = outcomes("change sharing", parent)["sharing own -> all"]
        assert diff(parent, child) == ["-control: true", "-sharing: own", "+control: false", "+sharing: all"]


class TestChangeStandUps:
    def test_only_where_there_is_a_director(self) -> None:
        assert outcomes("change stand-ups", small(), ground("director")) == {}

    def test_twice_or_half_as_often_or_never(self) -> None:
        parent = SHIPPED["daily-standup"]
        found = outcomes("change stand-ups", parent)
        assert set(found) == {
            "cadence.standup_every 20 -> 10",
            "cadence.standup_every 20 -> 40",
            "sharing standup -> all; cadence.standup_every 20 -> 0",
        }
        halved = found["cadence.standup_every 20 -> 10"]
        assert diff(parent, halved) == [
            "-  standup_every: 20       # finished experiments",
            "+  standup_every: 10       # finished experiments",
        ]

    def test_some_again(self) -> None:
        found = outcomes("change stand-ups", small(DIRECTOR))
        assert set(found) == {f"cadence.standup_every 0 -> {n}" for n in (5, 10, 20, 40)}

    @pytest.mark.parametrize(("every", "new"), [(1, {0, 2}), (1000, {0, 500})])
    def test_within_the_schema(self, every: int, new: set[int]) -> None:
        parent = small({**DIRECTOR, "members:": f"cadence: {{standup_every: {every}}}\nmembers:"})
        children = outcomes("change stand-ups", parent).values()
        assert {child.organization.settings["cadence.standup_every"] for child in children} == new


class TestChangeQuorum:
    def test_none_to_all(self) -> None:
        found = outcomes("change quorum", small(REVIEWERS))
        assert set(found) == {f"quorum 0 -> {n}" for n in (1, 2, 3)}

    def test_the_comment_stays(self) -> None:
        parent = SHIPPED["careful-lab"]
        child = outcomes("change quorum", parent)["quorum 2 -> 3"]
        assert diff(parent, child) == [
            "-quorum: 2                 # of the three reviewers",
            "+quorum: 3                 # of the three reviewers",
        ]

    def test_never_above_the_schema(self) -> None:
        children = outcomes("change quorum", small({"dedup-reviewer\n": "dedup-reviewer\n    count: 30\n"}), draws=200)
        assert max(child.organization.settings["quorum"] for child in children.values()) == 9

    def test_not_without_reviewers(self) -> None:
        assert outcomes("change quorum", SHIPPED["tpe"]) == {}


class TestChangeBranching:
    def test_trunk_again(self) -> None:
        parent = SHIPPED["specialists"]
        found = outcomes("change branching", parent)
        assert set(found) == {"branching teams -> trunk"}
        assert len(diff(parent, found["branching teams -> trunk"])) == 2

    def test_a_lone_proposer_makes_no_teams(self) -> None:
        assert outcomes("change branching", SHIPPED["solo-greedy"]) == {}

    def test_a_pair_is_divided_and_each_team_gets_a_merger(self) -> None:
        parent = small()
        for child in outcomes("change branching", parent).values():
            entries = child.organization.members
            assert [(e.role, e.count, e.team) for e in entries if e.role != "dedup-reviewer"][-3:] == [
                ("greedy-merger", 1, ""),
                ("greedy-merger", 1, entries[0].team),
                ("greedy-merger", 1, entries[1].team),
            ]
            assert {entries[0].team, entries[1].team} == {"red", "blue"}
            assert (entries[0].count, entries[1].count) == (1, 1)
            assert "+    count: 1   # a pair" in diff(parent, child)
            assert child.organization.settings["cadence.integrate_every"] in (12, 24, 48)

    @pytest.mark.parametrize("name", sorted(set(PARENTS) - {"specialists"}))
    def test_every_team_has_proposers_and_a_merger_of_its_own(self, name: str) -> None:
        for child in outcomes("change branching", PARENTS[name], draws=10).values():
            organization = child.organization.to_organization()
            if organization.branching == "teams":
                teams = {member.team for member in organization.of_kind("proposer") if member.team}
                assert len(teams) >= 1
                assert teams <= {member.team for member in organization.of_kind("merger")}
                assert any(not member.team for member in organization.of_kind("merger")) or name == "rich"

    def test_teams_that_are_here_are_kept(self) -> None:
        parent = small({"# a pair\n": "# a pair\n    team: red\n"})
        told = {line.split("; ")[0] for line in outcomes("change branching", parent)}
        assert told == {"members: greedy-merger of team red added"}
