"""Where proposers look: a group or two more or less, or what the better organizations look at."""

from __future__ import annotations

import random
from dataclasses import replace

from metaloop.files.org_file import OrgFile
from metaloop.meta.mutations.parametric import STARTUP
from tests.meta.mutations.small import diff, ground, named, outcomes, small
from tests.mutated import GROUPS, SHIPPED


class TestTurned:
    def test_one_or_two_groups_are_turned(self) -> None:
        parent = small({"    count: 2   # a pair\n": "    policy:\n      focus: [batch, schedule]   # at first\n"})
        for child in outcomes("change focus", parent).values():
            focus = child.organization.members[0].policy.get("focus", GROUPS)
            assert focus
            assert 1 <= len({"batch", "schedule"} ^ set(focus)) <= 2  # type: ignore[arg-type]

    def test_all_groups_are_every_group(self) -> None:
        """Who named none leaves one or two out; the order is the target's."""
        for child in outcomes("change focus", small()).values():
            focus = child.organization.members[0].policy["focus"]
            assert list(focus) == [group for group in GROUPS if group in focus]  # type: ignore[arg-type, operator]
            assert len(GROUPS) - 2 <= len(focus) < len(GROUPS)  # type: ignore[arg-type]

    def test_all_again_is_not_spelled_out(self) -> None:
        most = [group for group in GROUPS if group != "batch"]
        parent = small({"    count: 2   # a pair\n": f"    policy: {{focus: [{', '.join(most)}]}}\n"})
        wide = [c for c in outcomes("change focus", parent).values() if not c.organization.members[0].policy]
        assert [diff(parent, child) for child in wide] == [[f"-    policy: {{focus: [{', '.join(most)}]}}"]]

    def test_the_last_group_stays(self) -> None:
        parent = small({"    count: 2   # a pair\n": "    policy: {focus: [batch]}\n"})
        assert all(c.organization.members[0].policy["focus"] for c in outcomes("change focus", parent).values())

    def test_a_strategy_that_looks_everywhere_is_left_alone(self) -> None:
        ideas = small({"    count: 2   # a pair\n": "    policy: {strategy: ideas}\n"})
        assert outcomes("change focus", ideas) == {}


def looking_at(*groups: str) -> OrgFile:
    return small({"    count: 2   # a pair\n": f"    policy: {{focus: [{', '.join(groups)}]}}\n"})


class TestLearned:
    """Organizations that look at `optimizer` and `batch`, and nowhere else, gain most: the closer, the more."""

    GOOD = frozenset({"optimizer", "batch"})

    def measured(self) -> tuple[tuple[OrgFile, float], ...]:
        sets = [
            [group for place, group in enumerate(GROUPS) if number >> place & 1]
            for number in range(1, 2 ** len(GROUPS))
        ]
        return tuple((looking_at(*groups), -float(len(self.GOOD ^ set(groups)))) for groups in sets)

    def hits(self, parent: OrgFile, measured: tuple[tuple[OrgFile, float], ...]) -> float:
        """Share of the children that look at both good groups, and at one more at most."""
        on, mutation = replace(ground(), measured=measured), named("change focus")
        made = [child for seed in range(60) if (child := mutation.apply(parent, on, random.Random(seed)))]
        sets = [set(child.organization.members[0].policy.get("focus", GROUPS)) for child in made]  # type: ignore[arg-type]
        return sum(groups >= self.GOOD and len(groups) <= 3 for groups in sets) / len(sets)

    def test_what_the_better_look_at_is_drawn(self) -> None:
        assert self.hits(small(), ()) == 0.0
        found = self.hits(small(), self.measured())
        assert found > 0.1, found

    def test_a_few_teach_nothing(self) -> None:
        few = self.measured()[: STARTUP - 1]
        assert outcomes("change focus", small(), replace(ground(), measured=few)).keys() == (
            outcomes("change focus", small()).keys()
        )

    def test_other_roles_teach_nothing(self) -> None:
        others = tuple((SHIPPED["tpe"], float(gain)) for gain in range(9))
        assert outcomes("change focus", small(), replace(ground(), measured=others)).keys() == (
            outcomes("change focus", small()).keys()
        )
