"""The brain that is a person. It waits for an answer, but not longer than the deadline: then it refuses, and the
organization goes on as it does without a usable answer of anybody's."""

from __future__ import annotations

from pathlib import Path

from metaloop.brains.brain import Policy
from metaloop.brains.directing import steered_by
from metaloop.brains.human.question import Answered, Question, answer_in, ask, choices, close
from metaloop.brains.model.chat import Message
from metaloop.brains.model.prompt import Offer, render
from metaloop.brains.model.rules import rules_of
from metaloop.brains.model.transcript import identity
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.decisions import Decision, Observation, Refuse
from metaloop.vocabulary.models import ThinkingTerms
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Cost, Outcome
from metaloop.vocabulary.space import Space

LOOK_S = 0.2
"""How often an answer is looked for."""
ROOM = 60_000
"""Characters of a question."""


class HumanBrain:
    """One member whose decisions a person makes with ``metaloop answer``."""

    def __init__(self, member: Member, space: Space, colleagues: tuple[Member, ...], terms: ThinkingTerms) -> None:
        self._member = member
        self._space = space
        self._proposers = steered_by(member, colleagues)
        self._deadline_s = terms.human.deadline_s
        self._folder = None if terms.declared_time or not terms.questions else Path(terms.questions)
        self._focus = Policy(member).names("focus") if member.kind == "proposer" else ()
        self._history: list[Outcome] = []

    def decide(self, observation: Observation) -> Decision:
        self._history += observation.news
        if self._folder is None:  # nobody answers in simulated time
            return Refuse(self._too_late, Cost(self._deadline_s))
        self._folder.mkdir(parents=True, exist_ok=True)
        question = self._question(observation)
        path, clock = ask(self._folder, question), WallClock()
        while (answer := answer_in(path)) is None:
            if clock.now() >= self._deadline_s:
                close(path, Answered("", ""))
            else:
                clock.sleep(LOOK_S)
        cost = Cost(clock.now())
        found = question.decide(answer.reply, cost) if answer.reply else self._too_late
        return Refuse(found, cost) if isinstance(found, str) else found

    @property
    def _too_late(self) -> str:
        return f"no answer within {self._deadline_s:g} s"

    def _question(self, observation: Observation) -> Question:
        groups = (observation.steering.focus or self._focus) if self._member.kind == "proposer" else ()
        knobs = self._space.in_groups(groups)
        text = render(observation, self._history, Offer(knobs, self._proposers), ROOM)
        name = f"{self._member.name}-{observation.index}-{identity([Message('user', text)])[:4]}"
        words = choices(observation, rules_of(self._member, Space(knobs), self._proposers))
        how = f"## How to answer\n\n    metaloop answer DIR {name} {'|'.join(words)} --reason TEXT\n\nWithin "
        text = f"# {name}\n\n{text}\n\n{how}{self._deadline_s:g} s.\n"
        return Question(name, self._member, observation, knobs, self._proposers, self._deadline_s, words, text)
