"""What changed, in one line."""

from __future__ import annotations

import pytest

from metaloop.files.org_file import OrgFile
from metaloop.meta.mutations.describe import SHOWN, describe
from metaloop.meta.mutations.draft import Draft
from tests.meta.mutations.small import small
from tests.mutated import LIBRARY, PARENTS


def told(parent: OrgFile, draft: Draft) -> str:
    return describe(parent, draft.finish(), draft.origin)


@pytest.mark.parametrize("name", sorted(PARENTS))
def test_nothing_changed_is_an_empty_line(name: str) -> None:
    assert told(PARENTS[name], Draft.of(PARENTS[name])) == ""


@pytest.mark.parametrize(
    ("keys", "value", "line"),
    [
        (("quorum",), 1, "quorum 0 -> 1"),
        (("inbox",), True, "inbox false -> true"),
        (("cadence", "lookahead"), 3, "cadence.lookahead 0 -> 3"),
        (("cadence", "standup_seconds"), 0.5, "cadence.standup_seconds 0 -> 0.5"),
        (("members", 0, "count"), 3, "members[0].count 2 -> 3"),
        (("members", 0, "team"), "red", "members[0].team none -> red"),
        (("members", 2, "model"), "human", "members[2].model none -> human"),
        (("members", 0, "links"), ["dedup-reviewer"], "members[0].links [] -> [dedup-reviewer]"),
        (("members", 0, "policy"), {"boldness": 0.3}, "members[0].policy.boldness 0.25 -> 0.3"),
        (("members", 0, "policy"), {"focus": ["batch"]}, "members[0].policy.focus [] -> [batch]"),
    ],
)
def test_a_value_is_told_as_the_file_spells_it(keys: tuple[str | int, ...], value: object, line: str) -> None:
    parent = small()
    assert told(parent, Draft.of(parent).put(keys, value)) == line


def test_a_default_that_is_spelled_out_is_no_change() -> None:
    parent = small()
    assert told(parent, Draft.of(parent).put(("members", 2, "count"), 1).put(("quorum",), 0)) == ""


def test_entries_bear_their_number_in_the_parent() -> None:
    parent = small()
    draft = Draft.of(parent).take_out(1).put(("members", 1, "count"), 2)
    assert told(parent, draft) == "members: dedup-reviewer removed; members[2].count 1 -> 2"


def test_who_joined_is_told_with_number_team_and_focus() -> None:
    parent = small()
    entry = {"role": "explorer", "count": 2, "team": "red", "policy": {"focus": ["batch", "schedule"]}}
    draft = Draft.of(parent).add(1, entry, LIBRARY["explorer"])
    assert told(parent, draft) == "members: 2 explorer of team red, focus [batch, schedule] added"


def test_under_another_role_only_the_role_is_told() -> None:
    parent = small()
    draft = Draft.of(parent).know(LIBRARY["explorer"]).put(("members", 0, "role"), "explorer")
    assert told(parent, draft) == "members[0].role local-proposer -> explorer"


def test_a_long_list_ends_with_how_many_more_there_are() -> None:
    parent = small()
    draft = Draft.of(parent)
    for _ in range(9):
        draft = draft.add(1, {"role": "explorer"}, LIBRARY["explorer"])
    line = told(parent, draft)
    assert line.count("explorer added") == 6
    assert line.endswith("; and 3 more")
    assert len(line) < SHOWN + 20
