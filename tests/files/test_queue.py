"""The research queue, against the simplest model of it: a sorted list."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from metaloop.files.queue import ResearchQueue
from metaloop.vocabulary.records import Experiment


def experiment(number: int, priority: int = 1) -> Experiment:
    return Experiment(f"e{number}", {}, 0, "main", "candidate", priority)


class QueueMachine(RuleBasedStateMachine):
    """Push, take the next, bring back: always the highest priority first, then the oldest."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = ResearchQueue()
        self.made: list[Experiment] = []
        self.waiting: list[Experiment] = []
        self.out: list[Experiment] = []

    @rule(priority=st.integers(1, 4))
    def push(self, priority: int) -> None:
        new = experiment(len(self.made), priority)
        self.made.append(new)
        self.waiting.append(new)
        self.queue.push(new)

    @precondition(lambda self: self.waiting)
    @rule()
    def take_next(self) -> None:
        expected = min(self.waiting, key=lambda e: (-e.priority, self.made.index(e)))
        found = self.queue.peek()
        assert found == expected
        assert self.queue.take(found.id) == expected
        self.waiting.remove(expected)
        self.out.append(expected)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def bring_back(self, data: st.DataObject) -> None:
        lost = data.draw(st.sampled_from(self.out))
        self.out.remove(lost)
        self.waiting.append(lost)
        self.queue.push(lost)

    @invariant()
    def nothing_lost_or_doubled(self) -> None:
        expected = sorted(self.waiting, key=lambda e: (-e.priority, self.made.index(e)))
        assert list(self.queue.snapshot()) == expected
        assert len(self.queue) == len(expected)
        assert self.queue.peek() == (expected[0] if expected else None)


QueueMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestQueueMachine = QueueMachine.TestCase


def test_an_experiment_cannot_wait_twice() -> None:
    queue = ResearchQueue()
    queue.push(experiment(1))
    with pytest.raises(ValueError, match="already in the queue"):
        queue.push(experiment(1))


def test_only_what_waits_can_be_taken() -> None:
    with pytest.raises(KeyError):
        ResearchQueue().take("e1")
