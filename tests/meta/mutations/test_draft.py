"""A draft: what an edit of the members entails is put right at the end."""

from __future__ import annotations

import pytest

from metaloop.meta.mutations.draft import Draft, member_names
from metaloop.vocabulary.errors import OrgFileError
from tests.meta.mutations.small import small
from tests.mutated import LIBRARY, PARENTS, organization

THREE_REVIEWERS = {
    "    count: 2   # a pair\n": "    links: [dedup-reviewer-3]\n",
    "  - role: dedup-reviewer\n": 3 * "  - role: dedup-reviewer\n",
}


@pytest.mark.parametrize("name", sorted(PARENTS))
def test_members_are_numbered_as_the_organization_numbers_them(name: str) -> None:
    parent = PARENTS[name]
    named = [name for group in member_names(Draft.of(parent).entries) for name in group]
    assert named == [name for name, _ in parent.named_members()]


@pytest.mark.parametrize("name", sorted(PARENTS))
def test_an_untouched_draft_is_the_parent_but_for_control(name: str) -> None:
    parent = PARENTS[name]
    child = Draft.of(parent).finish()
    assert child.document.text == parent.document.text.replace("control: true", "control: false")


class TestLinks:
    def test_they_keep_naming_the_same_member(self) -> None:
        child = Draft.of(small(THREE_REVIEWERS)).take_out(1).finish()
        assert child.members[0].links == ("dedup-reviewer-2",)

    def test_the_last_of_several_loses_its_number(self) -> None:
        child = Draft.of(small(THREE_REVIEWERS)).take_out(1).take_out(1).finish()
        assert child.members[0].links == ("dedup-reviewer",)

    def test_the_list_goes_with_the_last_of_them(self) -> None:
        child = Draft.of(small(THREE_REVIEWERS)).take_out(3).finish()
        assert child.members[0].links == ()
        assert "links" not in child.document.text

    def test_a_role_named_by_a_link_is_followed_to_its_new_name(self) -> None:
        parent = small({"    count: 2   # a pair\n": "    links: [dedup-reviewer]\n"})
        draft = Draft.of(parent).know(LIBRARY["gain-reviewer"]).put(("members", 1, "role"), "gain-reviewer")
        assert draft.finish().members[0].links == ("gain-reviewer",)


class TestSettings:
    def test_a_child_is_nobody_s_yardstick(self) -> None:
        child = Draft.of(small({"members:": "control: true  # a yardstick\nmembers:"})).finish()
        assert "control: false  # a yardstick" in child.document.text

    def test_what_already_holds_is_not_written(self) -> None:
        parent = small()
        assert Draft.of(parent).set("sharing", "all").set("quorum", 0).document.text == parent.document.text

    def test_a_mapping_that_is_emptied_goes(self) -> None:
        parent = small({"    count: 2   # a pair\n": "    policy:\n      boldness: 0.3\n"})
        draft = Draft.of(parent).drop(("members", 0, "policy", "boldness"))
        assert "policy" not in draft.document.text

    def test_a_draft_without_a_merger_is_refused(self) -> None:
        with pytest.raises(OrgFileError, match="no merger"):
            Draft.of(small()).take_out(2).finish()


def test_names_that_would_clash_are_seen() -> None:
    draft = Draft.of(small())
    twin = LIBRARY["explorer"]
    assert not draft.add(1, {"role": "explorer", "count": 2}, twin).names_clash()
    assert draft.add(1, {"role": "local-proposer-1"}, twin).names_clash()


def test_a_layout_that_cannot_be_spliced_is_refused_with_its_line() -> None:
    text = "---\nname: odd\ndescription: x\nmembers: [role: local-proposer, role: greedy-merger]\n---\n"
    with pytest.raises(OrgFileError, match=r"odd/ORG.md:4: .*Lay it out one entry a line"):
        Draft.of(organization(text)).put(("members", 0, "count"), 2)
