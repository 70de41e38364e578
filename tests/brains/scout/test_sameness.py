"""Which two ideas are the same."""

from __future__ import annotations

import pytest

from metaloop.brains.scout.sameness import fresh_ideas, same_link
from metaloop.vocabulary.records import Idea

LONG = "Warming the learning rate down over the last half of training helps small language models a great deal"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("A – x", "http://arxiv.org/abs/2401.1v1"), ("B – y", "https://export.arxiv.org/abs/2401.1v3"), True),
        (("A – x", "https://arxiv.org/pdf/2401.1v2.pdf"), ("B – y", "https://www.arxiv.org/abs/2401.1"), True),
        (("A – x", "https://arxiv.org/abs/hep-th/99010v2"), ("B – y", "https://arxiv.org/abs/hep-th/99010"), True),
        (("A – x", "https://x.org/a?utm_source=f&i=1#c"), ("B – y", "http://X.org/a/?i=1"), True),
        (("A – x", "https://x.org/a?i=1"), ("B – y", "https://x.org/a?i=2"), False),
        (("Muon, again! – x", ""), ("muon AGAIN – y", ""), True),
        (("Muon – x", ""), ("Muon again – x", ""), False),
        ((f"One – {LONG}", ""), (f"Two – {LONG}.", ""), True),
        ((f"One – {LONG}", ""), (f"One more – {LONG[:40]} but of this nothing whatever is true at all", ""), False),
    ],
)
def test_two_ideas(one: tuple[str, str], other: tuple[str, str], same: bool) -> None:
    first, second = Idea("1", one[0], "s", link=one[1]), Idea("2", other[0], "s", link=other[1])
    assert (fresh_ideas([first], [second]) == []) == same
    assert (len(fresh_ideas([], [first, second])) == 1) == same


def test_the_same_changes_are_the_same_idea() -> None:
    first, second = Idea("1", "one", "s", {"lr": 0.1}), Idea("2", "two", "s", {"lr": 0.1})
    assert fresh_ideas([first], [second]) == []
    assert fresh_ideas([first], [Idea("3", "three", "s", {"lr": 0.2})])


def test_a_link_that_cannot_be_split_is_itself() -> None:
    assert same_link("http://[bad") == "http://[bad"
