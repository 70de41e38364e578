"""Edits: they apply exactly or not at all, and any change of a text can be said in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaloop.vocabulary.code import (
    Edit,
    apply_edits,
    edits_between,
    files_of,
    knobs_of,
    lines_by_file,
    lines_changed,
    source_digest,
)
from metaloop.vocabulary.errors import EditError

TEXT = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"


def test_an_edit_replaces_its_passage() -> None:
    assert apply_edits({"m.py": TEXT}, [Edit("m.py", "return 1", "return 10")])["m.py"] == TEXT.replace("1", "10")


def test_a_later_edit_sees_what_an_earlier_one_put_in() -> None:
    changed = apply_edits({"m.py": TEXT}, [Edit("m.py", "return 1", "x = 1"), Edit("m.py", "x = 1", "return 3")])
    assert "return 3" in changed["m.py"]


def test_edits_that_cancel_out_change_nothing() -> None:
    assert apply_edits({"m.py": TEXT}, [Edit("m.py", "one", "uno"), Edit("m.py", "uno", "one")]) == {}


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (Edit("m.py", "return", "yield"), "'return' occurs 2 times, expected exactly once"),
        (Edit("m.py", "three", "four"), "'three' occurs 0 times, expected exactly once"),
        (Edit("m.py", "", "x"), "is empty, expected exactly once"),
        (Edit("../evil.py", "a", "b"), r"'../evil.py' is no editable file; editable: m.py"),
        (Edit(".git/hooks/pre-commit", "a", "b"), "is no editable file"),
        (Edit("m.py", "return 1", "x" * 300_000), "at most 200000 are allowed"),
    ],
)
def test_what_does_not_apply_says_why(edit: Edit, complaint: str) -> None:
    with pytest.raises(EditError, match=complaint):
        apply_edits({"m.py": TEXT}, [edit])


def test_only_the_syntax_tree_of_python_counts() -> None:
    assert source_digest("m.py", TEXT) == source_digest("m.py", "# a comment\n" + TEXT)
    assert source_digest("m.py", TEXT) != source_digest("m.py", TEXT.replace("1", "2"))
    assert source_digest("notes.txt", TEXT) != source_digest("notes.txt", "# a comment\n" + TEXT)


@pytest.mark.parametrize("text", ["def one(:\n", "x = '\0'", "(" * 100_000])
def test_what_is_no_python_has_no_digest(text: str) -> None:
    with pytest.raises(EditError, match="no Python"):
        source_digest("m.py", text)


def test_files_and_knobs_of_a_configuration() -> None:
    config = {"lr": 0.1, "file:nanogpt/model.py": "abc"}
    assert files_of(config) == {"nanogpt/model.py": "abc"}
    assert knobs_of(config) == {"lr": 0.1}


def test_what_edits_come_to_is_read_off_them() -> None:
    edits = (Edit("m.py", "a\nb\n", "a\nc\nd\n"), Edit("n.py", "x\n", ""))
    assert lines_changed(edits) == (2, 2)
    assert lines_by_file(edits) == {"m.py": "+2 -1", "n.py": "+0 -1"}


LINES = st.lists(st.sampled_from(["a", "b", "c", "    d", ""]), max_size=12).map("\n".join)


@given(LINES.filter(bool), LINES)
def test_any_change_can_be_said_in_edits(old: str, new: str) -> None:
    edits = edits_between("m.py", old, new)
    assert apply_edits({"m.py": old}, edits).get("m.py", old) == new


def test_an_empty_file_cannot_be_edited() -> None:
    with pytest.raises(EditError, match="empty file"):
        edits_between("m.py", "", "x")
