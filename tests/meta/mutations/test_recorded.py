"""Rewritings that are kept: asked once, answered the same for ever, and told what became of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloop.meta.mutations.recorded import UNCHANGED, RecordedRewriter, rewritings
from metaloop.meta.mutations.textual import Request, Rewriter, Rewriting
from metaloop.vocabulary.records import Cost
from tests.meta.mutations.test_textual import PROSE, RewriterContract, Says
from tests.mutated import PRICE, SPEAKS_AGAINST, Redactor

ASKED = Request("explorer", "proposer", PROSE, SPEAKS_AGAINST)


class Numbered:
    """Answers otherwise each time."""

    def __init__(self) -> None:
        self.count = 0

    def rewrite(self, request: Request) -> Rewriting:
        self.count += 1
        return Rewriting(request.prose.replace("Leap", f"Leap {self.count}"), PRICE, f"answer {self.count}")


class TestRecorded(RewriterContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def rewriter(self) -> Rewriter:
        return RecordedRewriter(Redactor(), self.folder, lambda: True)


def test_another_evolution_over_the_same_folder_gets_the_same_in_the_same_order(tmp_path: Path) -> None:
    first = RecordedRewriter(Numbered(), tmp_path, lambda: True)
    answers = [first.rewrite(ASKED) for _ in range(3)]
    assert len({answer.prose for answer in answers}) == 3, "the same request may be answered otherwise"
    silent = Says()
    again = RecordedRewriter(silent, tmp_path, lambda: True)
    assert [again.rewrite(ASKED) for _ in range(3)] == answers
    assert silent.asked == []
    again.rewrite(ASKED)
    assert silent.asked == [ASKED], "what was not asked before is asked now"


def test_it_is_told_what_became_of_each(tmp_path: Path) -> None:
    for answer in (None, "x", PROSE.replace("Leap", "Look and leap")):
        RecordedRewriter(Says(answer), tmp_path / str(len(answer or "")), lambda: True).rewrite(ASKED)
    (unchanged,) = rewritings(tmp_path / "0")
    assert (unchanged.refusal, unchanged.diff, unchanged.rewriting.cost) == (UNCHANGED, "", PRICE)
    (other,) = rewritings(tmp_path / "1")
    assert "ground rules" in other.refusal or "lines" in other.refusal
    (taken,) = rewritings(next(path for path in tmp_path.iterdir() if path.name not in "01"))
    assert taken.refusal == ""
    assert "+1. Look and leap" in taken.diff


def test_where_nothing_is_left_to_think_for_nobody_is_asked(tmp_path: Path) -> None:
    inner = Says("x")
    answer = RecordedRewriter(inner, tmp_path, lambda: False).rewrite(ASKED)
    assert (answer, inner.asked, rewritings(tmp_path)) == (Rewriting(PROSE, Cost()), [], [])
