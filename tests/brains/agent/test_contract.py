"""A member that a command decides for, under the contract of all brains."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from metaloop.brains.brain import Brain
from metaloop.brains.registry import make_brain
from metaloop.vocabulary.decisions import Judge, Observation, Pass, Propose, Refuse, Review, StandUp
from metaloop.vocabulary.records import Head
from tests.brains import worlds as w
from tests.brains.agent.harness import SOURCES, agent, card, repository, terms
from tests.brains.objective import member
from tests.brains.test_contract import BrainContract, DirectorContract, MergerContract, ProposerContract, TestReviewer

CHOOSER = Path(__file__).with_name("chooser.py")


class AgentContract(BrainContract):
    """With a command behind it every brain owes the same; it is not free, and what it paid for it does not forget."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        repository(tmp_path, {"c0": {}})

    def born(self, seed: int = 7) -> Brain:
        colleagues = (member("proposer", "ann"), member("proposer", "bob"))
        given = terms(self.folder, card(CHOOSER, usage="file"))
        return make_brain(agent(self.subject()), w.SPACE, seed, colleagues, given)

    def test_answers_are_of_the_right_kind_and_free(self) -> None:
        for decision in self.decisions():
            assert isinstance(decision, (*self.answers, Refuse))
            assert decision.cost.tokens > 0
            assert decision.cost.usd in (0.25, 0.5)
            assert decision.cost.seconds > 0

    def test_what_was_answered_is_not_asked_again(self) -> None:
        first = self.decisions()
        kept = {path: path.stat().st_mtime_ns for path in self.folder.rglob("transcripts/*/*.json")}
        assert kept
        assert self.decisions() == first
        assert kept == {path: path.stat().st_mtime_ns for path in self.folder.rglob("transcripts/*/*.json")}

    def test_nothing_is_left_of_its_work(self) -> None:
        self.decisions()
        assert list((self.folder / "worktrees").iterdir()) == []
        assert list((self.folder / "repo" / ".git" / "worktrees").glob("*")) == []


class TestAgentProposer(AgentContract, ProposerContract):
    answers = (Propose, Pass)
    length = 4

    def life(self) -> list[Observation]:
        """A head that does not move, and what was made of its files."""
        news = ((w.BASELINE,), (w.outcome(1, {"lr": 0.02}, -0.01),), (), (w.outcome(2, {"depth": 5}, 0.02),))
        head = Head("main", "c0", {}, {0: 2.0}, 0)
        return [Observation("propose", i, head, 0.1, each, sources=SOURCES) for i, each in enumerate(news)]

    def test_proposals_are_valid_and_new(self) -> None:
        proposed = [decision for decision in self.decisions() if isinstance(decision, Propose)]
        assert {"lr"} == {name for decision in proposed for name in decision.changes}
        assert any(decision.edits for decision in proposed)
        assert all(decision.hypothesis == "The step is too short." for decision in proposed)


class TestAgentReviewer(AgentContract, TestReviewer):
    answers = (Review,)


class TestAgentMerger(AgentContract, MergerContract):
    answers = (Judge,)

    def test_once_the_budget_is_spent_only_merge_and_discard_are_left(self) -> None:
        verdict = self.born().decide(w.judge(w.candidate(-0.02), budget_spent=1.0))
        assert isinstance(verdict, Judge)
        assert verdict.verdict in ("merge", "discard")


class TestAgentDirector(AgentContract, DirectorContract):
    answers = (StandUp,)


def test_a_member_that_may_not_edit_is_not_told_to() -> None:
    from metaloop.brains.agent.prompt import how_to_propose

    assert "nanogpt" not in how_to_propose({})
    assert "`nanogpt/model.py`, `nanogpt/train.py`" in how_to_propose(SOURCES)


def test_simulated_time_is_what_the_card_declares(tmp_path: Path) -> None:
    repository(tmp_path, {"c0": {}})
    given = terms(tmp_path, card(CHOOSER, seconds=7.5), declared_time=True)
    brain = make_brain(agent(member("proposer", "ann")), w.SPACE, 7, (), given)
    decision = brain.decide(msgspec.structs.replace(w.propose(), sources=SOURCES))
    assert isinstance(decision, Propose)
    assert (decision.cost.seconds, decision.cost.tokens, decision.cost.usd) == (7.5, 0, 0.0)
