"""The A/A twin: other names, everything else the same, and therefore other luck on the same org-run seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloop.files.org_file import read_organization, write_files
from metaloop.meta.mutations.twin import MARK, twin
from tests.mutated import SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
class TestEveryShippedOrganization:
    def test_only_names_differ(self, name: str, tmp_path: Path) -> None:
        original = SHIPPED[name].to_organization()
        write_files(twin(SHIPPED[name]), tmp_path / "copy")
        copy = read_organization(tmp_path / "copy", library=tmp_path / "nowhere").to_organization()
        assert [member.role for member in copy.members] == [member.role + MARK for member in original.members]
        for ours, theirs in zip(original.members, copy.members, strict=True):
            same = ("kind", "policy", "brain", "team")
            assert [getattr(ours, f) for f in same] == [getattr(theirs, f) for f in same]
        assert (copy.sharing, copy.branching, copy.quorum) == (original.sharing, original.branching, original.quorum)
        assert copy.cadence == original.cadence

    def test_no_member_keeps_its_name_and_it_is_no_control(self, name: str) -> None:
        original, copy = SHIPPED[name].to_organization(), twin(SHIPPED[name]).to_organization()
        assert not {m.name for m in original.members} & {m.name for m in copy.members}
        assert not copy.control


def test_links_follow_the_new_names() -> None:
    linked = SHIPPED["careful-lab"]
    from metaloop.meta.mutations.draft import Draft

    draft = Draft.of(linked).put(("members", 1, "links"), ["gain-reviewer", "careful-proposer-2"])
    copy = twin(draft.finish())
    assert copy.members[1].links == ("gain-reviewer-twin", "careful-proposer-twin-2")
