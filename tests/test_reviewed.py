"""What reads the diffs of mutations can tell a good one from a bad one."""

from __future__ import annotations

import random

import pytest

from metaloop.files.markdown import Document, parse
from metaloop.files.markdown_edit import remove, set_value
from metaloop.meta.mutations.operator import Mutated
from tests.mutated import MUTATIONS, PARENTS, check_told, check_valid, ground_of
from tests.reviewed import lost_lines, unexplained

RICH = PARENTS["rich"].document
STAY = tuple(range(len(PARENTS["rich"].members)))


def edited(old: str, new: str) -> Document:
    assert old in RICH.text
    return parse(RICH.text.replace(old, new), RICH.path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("quorum: 2   # of three", "quorum: 2"),
        ("- role: 'explorer'", "- role: explorer"),
        ("    boldness: 0.3   # bold", "    boldness: 0.30   # bold"),
        ("{standup_every: 10, standup_seconds: 0.5, ", "{standup_every: 10,  standup_seconds: 0.5, "),
        ("[dedup-reviewer, strict-reviewer-2]", "[dedup-reviewer,  strict-reviewer-2]"),
    ],
)
def test_a_line_that_was_rewritten_for_no_reason_is_found(old: str, new: str) -> None:
    assert len(unexplained(RICH, edited(old, new), STAY)) >= 1


def test_a_line_with_a_new_value_is_explained() -> None:
    assert unexplained(RICH, edited("quorum: 2   # of three", "quorum: 1"), STAY) == []
    assert unexplained(RICH, set_value(RICH, ("cadence", "standup_every"), 20), STAY) == []


def test_entries_are_followed_to_where_they_went() -> None:
    without = remove(RICH, ("members", 0))
    assert unexplained(RICH, without, STAY[1:]) == []
    assert unexplained(RICH, without, STAY[:-1]) != [] or lost_lines(RICH, without, STAY[:-1]) != []


@pytest.mark.parametrize("comment", ["# Own results at once", "# The first team.", "    # and narrow"])
def test_a_lost_comment_is_found(comment: str) -> None:
    line = next(line for line in RICH.text.split("\n") if line.startswith(comment))
    assert lost_lines(RICH, edited(f"{line}\n", ""), STAY) == [line]
    assert lost_lines(RICH, RICH, STAY) == []


def test_a_child_that_does_nothing_new_is_found() -> None:
    swap = next(mutation for mutation in MUTATIONS if mutation.name == "swap role")
    parent = PARENTS["rich"]
    child = swap.apply(parent, ground_of(parent), random.Random(0))
    assert child is not None
    with pytest.raises(AssertionError):
        check_told(swap, child.organization, Mutated(child.organization, swap.name, child.change))


def test_a_child_that_is_still_a_yardstick_is_found() -> None:
    with pytest.raises(AssertionError):
        check_valid(Mutated(PARENTS["tpe"], "null", "nothing changed"))


def test_a_comment_inside_what_was_taken_out_whole_goes_along() -> None:
    assert "    # and narrow\n" in RICH.text
    without = remove(RICH, ("members", 0, "policy"))
    assert "# and narrow" not in without.text
    assert lost_lines(RICH, without, STAY) == []


def test_a_comment_between_entries_of_which_one_stays_is_missed() -> None:
    one_left = remove(RICH, ("members", 0, "policy", "focus"))
    cut = parse(one_left.text.replace("    # and narrow\n", ""), RICH.path)
    assert lost_lines(RICH, cut, STAY) == ["    # and narrow"]
