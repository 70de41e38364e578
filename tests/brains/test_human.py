"""A member that is a person: real files, real waiting, answers as the command line writes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from metaloop.brains.human.question import ANSWER, Answered, Question, close
from metaloop.brains.registry import make_brain
from metaloop.files.run_folder import read_json
from metaloop.vocabulary.agents import HumanTerms
from metaloop.vocabulary.decisions import Decision, Judge, Observation, Propose, Refuse, Review
from metaloop.vocabulary.models import ThinkingTerms
from metaloop.vocabulary.organization import RoleKind
from metaloop.vocabulary.records import Cost
from tests.brains import worlds as w
from tests.brains.objective import member


def decide(folder: Path, kind: RoleKind, asked: Observation, seconds: float = 20.0, **fields: Any) -> Decision:
    terms = ThinkingTerms(questions=str(folder), human=HumanTerms(seconds), **fields)
    person = msgspec.structs.replace(member(kind, "eve"), brain="human")
    return make_brain(person, w.SPACE, 7, (), terms).decide(asked)


def answered(folder: Path, kind: RoleKind, asked: Observation, reply: Callable[[Question], str]) -> Decision:
    """What the member decides while a person answers the one open question."""

    def person() -> None:
        while not list(folder.glob("*.md")):
            time.sleep(0.02)
        (path,) = [p for p in folder.glob("*.json") if not p.name.endswith(ANSWER)]
        answer = Answered("eve", reply(read_json(path, Question)))
        assert close(path.with_name(path.stem + ANSWER), answer)
        assert not close(path.with_name(path.stem + ANSWER), answer), "the first answer stands"

    thread = threading.Thread(target=person)
    thread.start()
    decision = decide(folder, kind, asked)
    thread.join()
    return decision


def test_a_vote(tmp_path: Path) -> None:
    asked = w.review({"lr": 0.3})
    decision = answered(tmp_path, "reviewer", asked, lambda q: '{"reason": "fine", "approve": true}')
    assert isinstance(decision, Review)
    assert (decision.approve, decision.reason, decision.cost.tokens) == (True, "fine", 0)
    assert 0 < decision.cost.seconds < 20
    assert "metaloop answer DIR eve-0-" in next(tmp_path.glob("*.md")).read_text()


def test_the_same_question_is_not_put_twice(tmp_path: Path) -> None:
    asked = w.review({"lr": 0.3})
    first = answered(tmp_path, "reviewer", asked, lambda q: '{"reason": "fine", "approve": true}')
    began = time.monotonic()
    again = decide(tmp_path, "reviewer", asked)
    assert time.monotonic() - began < 1
    assert msgspec.structs.replace(again, cost=Cost()) == msgspec.structs.replace(first, cost=Cost())


def test_a_verdict_offers_what_the_policy_allows(tmp_path: Path) -> None:
    def reply(question: Question) -> str:
        assert question.choices == ("discard", "repeat", "hold")
        assert isinstance(question.decide('{"reason":"","verdict":"merge","repeats":0,"together":[]}', Cost()), str)
        return '{"reason": "luck", "verdict": "repeat", "repeats": 3, "together": []}'

    decision = answered(tmp_path, "merger", w.judge(w.candidate(0.01)), reply)
    assert isinstance(decision, Judge)
    assert (decision.verdict, decision.repeats) == ("repeat", 3)


def test_a_proposal(tmp_path: Path) -> None:
    reply = '{"hypothesis":"short steps","changes":[{"knob":"lr","value":0.1}],"predicted_delta":-0.01,"idea":null}'
    decision = answered(tmp_path, "proposer", w.propose(), lambda q: reply)
    assert isinstance(decision, Propose)
    assert decision.changes == {"lr": 0.1}


def test_after_the_deadline_it_goes_on(tmp_path: Path) -> None:
    began = time.monotonic()
    decision = decide(tmp_path, "reviewer", w.review({"lr": 0.3}), seconds=0.5)
    assert isinstance(decision, Refuse)
    assert (decision.reason, decision.outage) == ("no answer within 0.5 s", False)
    assert 0.5 <= time.monotonic() - began < 3
    (path,) = tmp_path.glob(f"*{ANSWER}")
    assert not close(path, Answered("eve", "too late"))


def test_an_older_question_is_closed_by_the_next(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=decide, args=(tmp_path, "reviewer", w.review({"lr": lr}), 3.0)) for lr in (0.3, 0.4)
    ]
    threads[0].start()
    time.sleep(0.5)
    threads[1].start()
    began = time.monotonic()
    threads[0].join()
    assert time.monotonic() - began < 2
    threads[1].join()


def test_nobody_answers_in_simulated_time(tmp_path: Path) -> None:
    decision = decide(tmp_path, "reviewer", w.review({"lr": 0.3}), seconds=600.0, declared_time=True)
    assert decision == Refuse("no answer within 600 s", Cost(600.0))
    assert list(tmp_path.iterdir()) == []
