"""Organizations with a scout: mutated like all others, but nothing about the scout itself is drawn."""

from __future__ import annotations

from tests.meta.mutations.small import ground, outcomes, small

SCOUT = "  - role: arxiv-scout\n"
MERGER = "  - role: greedy-merger\n"
PARENT = {MERGER: f"{MERGER}{SCOUT}", "members:\n": "inbox: true\nmembers:\n"}


def test_no_scout_joins_and_none_is_doubled() -> None:
    for parent in (small(), small(PARENT)):
        assert not [line for line in outcomes("add role", parent, ground("arxiv-scout")) if "scout" in line]
    assert not [line for line in outcomes("duplicate role", small(PARENT)) if "scout" in line]


def test_a_scout_may_go_and_its_policy_is_left_alone() -> None:
    assert "members: arxiv-scout removed" in outcomes("remove role", small(PARENT))
    assert not [line for line in outcomes("parametric", small(PARENT), draws=100) if "scout" in line]


def test_a_scout_from_elsewhere_brings_the_inbox() -> None:
    from metaloop.meta.mutations.draft import Draft
    from tests.mutated import LIBRARY

    draft = Draft.of(small())
    child = draft.add(3, {"role": "arxiv-scout"}, LIBRARY["arxiv-scout"]).finish()
    assert child.settings["inbox"] is True
