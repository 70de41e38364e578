"""A generalist becomes specialists, and specialists one again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from metaloop.files.role_file import effective_policy
from tests.meta.mutations.small import diff, ground, outcomes, small
from tests.mutated import GROUPS, SHIPPED


class TestSplit:
    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    def test_groups_and_members_are_dealt_out(self, count: int) -> None:
        parent = small({"count: 2   # a pair": f"count: {count}"})
        for child in outcomes("split generalist", parent).values():
            parts = [entry for entry in child.organization.members if entry.role == "local-proposer"]
            looked_at = [group for part in parts for group in part.policy["focus"]]  # type: ignore[union-attr]
            assert sorted(looked_at) == sorted(GROUPS)
            assert 2 <= len(parts) <= 3
            assert sum(part.count for part in parts) == max(count, len(parts))
            assert max(part.count for part in parts) - min(part.count for part in parts) <= 1

    def test_the_diff_shows_who_looks_where(self) -> None:
        policy = "    policy:\n      boldness: 0.3   # bold\n      focus: [batch, schedule]\n"
        parent = small({"    count: 2   # a pair\n": policy})
        child = next(iter(outcomes("split generalist", parent).values()))
        first, second = (entry.policy["focus"] for entry in child.organization.members[:2])
        assert {first, second} == {("batch",), ("schedule",)}
        assert diff(parent, child) == [
            "-      focus: [batch, schedule]",
            f"+      focus: [{first[0]}]",  # type: ignore[index]
            "+  - role: local-proposer",
            f"+    policy: {{boldness: 0.3, focus: [{second[0]}]}}",  # type: ignore[index]
        ]

    def test_one_group_cannot_be_split(self) -> None:
        focused = small({"    count: 2   # a pair\n": "    policy: {focus: [batch]}\n"})
        assert outcomes("split generalist", focused) == {}
        assert outcomes("split generalist", SHIPPED["specialists"]) == {}
        one_group = replace(ground(), groups=("optimizer",))
        assert outcomes("split generalist", small(), one_group) == {}

    def test_a_strategy_that_looks_everywhere_is_left_alone(self) -> None:
        ideas = small({"    count: 2   # a pair\n": "    policy: {strategy: ideas}\n"})
        assert outcomes("split generalist", ideas) == {}


class TestUnite:
    def test_two_become_one_that_looks_where_both_looked(self) -> None:
        parent = SHIPPED["specialists"]
        for told, child in outcomes("unite specialists", parent).items():
            assert len(child.organization.members) == len(parent.members) - 1
            widest = max((entry.policy.get("focus", ()) for entry in child.organization.members), key=len)  # type: ignore[arg-type]
            assert len(widest) == 2  # type: ignore[arg-type]
            assert "removed; members[" in told
            assert len(diff(parent, child)) == 5

    def test_not_across_teams_roles_or_brains(self) -> None:
        found = outcomes("unite specialists", SHIPPED["specialists"], draws=100)
        training = {"optimizer", "schedule", "batch"}
        for child in found.values():
            for entry in child.organization.members:
                focus = set(entry.policy.get("focus", ()))  # type: ignore[arg-type]
                assert focus <= training or not focus & training
        assert len(found) == 6

    def test_all_groups_are_no_focus(self) -> None:
        half, other = list(GROUPS[:3]), list(GROUPS[3:])
        entries = [f"    policy: {{focus: [{', '.join(part)}]}}\n" for part in (half, other)]
        parent = small({"    count: 2   # a pair\n": f"{entries[0]}  - role: local-proposer\n{entries[1]}"})
        (child,) = outcomes("unite specialists", parent).values()
        entry = child.organization.members[0]
        assert entry.policy == {}
        assert effective_policy(child.organization.roles["local-proposer"], entry.policy)["focus"] == ()

    def test_generalists_are_not_united(self) -> None:
        assert outcomes("unite specialists", small({"# a pair\n": "# a pair\n  - role: local-proposer\n"})) == {}

    def test_it_undoes_a_split(self) -> None:
        parent = small()
        split = next(c for c in outcomes("split generalist", parent).values() if len(c.organization.members) == 4)
        united = outcomes("unite specialists", split.organization)
        assert len(united) == 1
        (child,) = united.values()
        assert child.organization.members[0].policy == {}
