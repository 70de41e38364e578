"""Adding, removing, duplicating and swapping roles."""

from __future__ import annotations

from tests.meta.mutations.small import diff, ground, outcomes, small

MERGER = "  - role: greedy-merger\n"
DIRECTOR = {MERGER: f"{MERGER}  - role: director\n"}


class TestAddRole:
    def test_any_role_at_hand_joins_behind_its_kind(self) -> None:
        parent = small()
        found = outcomes("add role", parent, ground("explorer", "testing-merger"))
        roles = ("dedup-reviewer", "explorer", "greedy-merger", "local-proposer", "testing-merger")
        assert {line.split(";")[0] for line in found} == {f"members: {role} added" for role in roles}
        explorer = found["members: explorer added"]
        assert diff(parent, explorer) == ["+  - role: explorer"]
        assert [entry.role for entry in explorer.organization.members][:2] == ["local-proposer", "explorer"]

    def test_the_first_reviewer_is_given_a_say(self) -> None:
        parent = small({"  - role: dedup-reviewer\n": ""})
        found = outcomes("add role", parent, ground("gain-reviewer"))
        reviewed = found["members: gain-reviewer added; quorum 0 -> 1"]
        assert diff(parent, reviewed) == ["+  - role: gain-reviewer", "+quorum: 1"]

    def test_a_director_brings_stand_ups_and_is_the_only_one(self) -> None:
        found = outcomes("add role", small(), ground("director"), draws=200)
        told = {line for line in found if "director" in line}
        assert told == {f"members: director added; cadence.standup_every 0 -> {n}" for n in (5, 10, 20, 40)}
        assert not [line for line in outcomes("add role", small(DIRECTOR), ground("director")) if "director" in line]

    def test_a_newcomer_may_join_a_team(self) -> None:
        parent = small({"    count: 2   # a pair\n": "    team: red\n"})
        found = outcomes("add role", parent, ground("explorer"))
        assert diff(parent, found["members: explorer of team red added"]) == ["+  - role: explorer", "+    team: red"]
        assert "members: explorer added" in found


class TestRemoveRole:
    def test_one_of_a_pair_or_a_whole_entry_goes_but_the_last_proposer_and_merger_stay(self) -> None:
        parent = small()
        found = outcomes("remove role", parent)
        assert set(found) == {"members[0].count 2 -> 1", "members: dedup-reviewer removed"}
        assert diff(parent, found["members[0].count 2 -> 1"]) == [
            "-    count: 2   # a pair",
            "+    count: 1   # a pair",
        ]
        assert diff(parent, found["members: dedup-reviewer removed"]) == ["-  - role: dedup-reviewer"]

    def test_nobody_can_be_spared(self) -> None:
        parent = small({"    count: 2   # a pair\n": "", "  - role: dedup-reviewer\n": ""})
        assert outcomes("remove role", parent) == {}

    def test_the_quorum_follows_the_reviewers(self) -> None:
        parent = small({"members:": "quorum: 1\nmembers:"})
        assert "members: dedup-reviewer removed; quorum 1 -> 0" in outcomes("remove role", parent)

    def test_with_the_director_stand_ups_end(self) -> None:
        parent = small({"members:": "sharing: standup\ncadence:\n  standup_every: 10   # often\nmembers:", **DIRECTOR})
        told = "members: director removed; sharing standup -> all; cadence.standup_every 10 -> 0"
        child = outcomes("remove role", parent)[told]
        assert "+  standup_every: 0   # often" in diff(parent, child)

    def test_with_the_last_of_a_team_feature_branches_end(self) -> None:
        team = {
            "    count: 2   # a pair\n": "    team: red\n  - role: explorer\n",
            "members:": "branching: teams\nsharing: team\nmembers:",
        }
        told = "members: local-proposer of team red removed; sharing team -> all; branching teams -> trunk"
        assert told in outcomes("remove role", small(team))

    def test_links_to_the_one_who_is_gone_go_with_him(self) -> None:
        parent = small({"    count: 2   # a pair\n": "    links: [dedup-reviewer, greedy-merger]\n"})
        found = outcomes("remove role", parent)
        told = next(line for line in found if "removed" in line)
        assert found[told].organization.members[0].links == ("greedy-merger",)


class TestDuplicateRole:
    def test_a_member_more_on_the_same_terms(self) -> None:
        parent = small()
        found = outcomes("duplicate role", parent)
        assert set(found) == {
            *("members[0].count 2 -> 3", "members[1].count 1 -> 2", "members[2].count 1 -> 2"),
            *(f"members: {role} added" for role in ("local-proposer", "dedup-reviewer", "greedy-merger")),
        }
        assert diff(parent, found["members: dedup-reviewer added"]) == ["+  - role: dedup-reviewer"]
        assert diff(parent, found["members[1].count 1 -> 2"]) == ["+    count: 2"]

    def test_a_director_is_not_duplicated(self) -> None:
        assert not [line for line in outcomes("duplicate role", small(DIRECTOR)) if "director" in line]

    def test_a_full_entry_gets_a_twin_entry(self) -> None:
        parent = small({"count: 2 ": "count: 64"})
        told = {line for line in outcomes("duplicate role", parent) if "members[0]" in line or "local-" in line}
        assert told == {"members: local-proposer added"}

    def test_a_policy_is_copied_and_links_follow_the_new_numbers(self) -> None:
        parent = small(
            {
                "    count: 2   # a pair\n": "    policy:\n      boldness: 0.3   # bold\n",
                MERGER: f"{DIRECTOR[MERGER]}    links: [local-proposer]\n",
            }
        )
        child = outcomes("duplicate role", parent)["members: local-proposer added"]
        assert diff(parent, child) == ["+  - role: local-proposer", "+    policy: {boldness: 0.3}"]
        assert child.organization.members[-1].links == ("local-proposer",)


class TestSwapRole:
    def test_another_role_of_the_kind_takes_over(self) -> None:
        parent = small()
        found = outcomes("swap role", parent, ground("explorer", "strict-reviewer", "director"))
        assert set(found) == {
            "members[0].role local-proposer -> explorer",
            "members[1].role dedup-reviewer -> strict-reviewer",
        }
        swapped = found["members[0].role local-proposer -> explorer"]
        assert diff(parent, swapped) == ["-  - role: local-proposer", "+  - role: explorer"]

    def test_overrides_that_mean_nothing_to_the_newcomer_go(self) -> None:
        parent = small(
            {"    count: 2   # a pair\n": "    policy: {boldness: 0.3, strategy: explore, plateau_after: 9}\n"}
        )
        found = outcomes("swap role", parent, ground("careful-proposer", "random-proposer"))
        careful = found["members[0].role local-proposer -> careful-proposer"].organization
        assert careful.members[0].policy == {"boldness": 0.3}
        drawing = found["members[0].role local-proposer -> random-proposer"].organization
        assert drawing.members[0].policy == {}

    def test_links_follow_the_new_name(self) -> None:
        parent = small({"    count: 2   # a pair\n": "    links: [dedup-reviewer]\n"})
        swapped = list(outcomes("swap role", parent, ground("strict-reviewer")).values())
        assert [child.organization.members[0].links for child in swapped] == [("strict-reviewer",)]
