"""The brain that asks a model: prompt, answer, check, one round of mending, and a refusal where that is not enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from metaloop.brains.brain import Policy
from metaloop.brains.directing import steered_by
from metaloop.brains.model.chat import Answer, Chat, Message, room_beside
from metaloop.brains.model.code import offers
from metaloop.brains.model.prompt import HOW, Offer, render
from metaloop.brains.model.reply import Rules, read
from metaloop.brains.model.rules import rules_of
from metaloop.brains.model.schema import schema
from metaloop.brains.model.transcript import Exchange, Transcripts, identity
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.decisions import Decision, Observation, Refuse
from metaloop.vocabulary.errors import ModelError
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.models import ModelCard, ThinkingTerms
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Cost, Outcome
from metaloop.vocabulary.space import Knob, Space

ROUNDS = 2
"""Answers to one question: the first, and one that is told what was wrong with it."""
LONGEST_ECHO = 2000
"""Characters of a faulty answer that the model is shown again."""


class ModelBrain:
    """One member whose decisions a model makes; :mod:`metaloop.brains.model.reply` checks what it says."""

    def __init__(
        self,
        member: Member,
        space: Space,
        colleagues: tuple[Member, ...],
        card: ModelCard,
        chat: Chat,
        terms: ThinkingTerms,
    ) -> None:
        self._member = member
        self._proposers = steered_by(member, colleagues)
        self._space = space
        self._card = card
        self._chat = chat
        self._declared_time = terms.declared_time
        self._transcripts = Transcripts(terms.transcripts, member.name, Exchange)
        self._policy = Policy(member)
        self._history: list[Outcome] = []
        self._lessons: tuple[Lesson, ...] = ()

    def decide(self, observation: Observation) -> Decision:
        self._history += observation.news
        self._lessons = observation.lessons or self._lessons
        observation = msgspec.structs.replace(observation, lessons=self._lessons)
        knobs = self._knobs(observation)
        rules = self._rules(knobs, observation)
        asked = schema(observation, rules, self._card)
        messages = self._messages(observation, rules, asked)
        exchange = self._transcripts.recall(observation.index, identity(messages))
        if exchange is None:
            exchange = self._converse(observation, messages, asked, rules)
            self._transcripts.keep(exchange)
        return _decision(exchange, observation, rules)

    def _knobs(self, observation: Observation) -> Sequence[Knob]:
        """Those that the member may change now: its own focus, or where the director points; a few in turns."""
        if self._member.kind != "proposer":
            return self._space.knobs
        knobs = self._space.in_groups(observation.steering.focus or self._policy.names("focus"))
        shown = self._card.knobs_shown
        if not shown or shown >= len(knobs):
            return knobs
        first = observation.index * shown
        return [knobs[(first + place) % len(knobs)] for place in range(shown)]

    def _messages(self, observation: Observation, rules: Rules, asked: dict[str, Any]) -> list[Message]:
        shape = (
            "" if self._card.reply_format == "schema" else f" Its JSON schema: {msgspec.json.encode(asked).decode()}"
        )
        system = f"{self._member.prompt.strip()}\n\n{HOW}{shape}"
        offer = Offer(rules.space.knobs, self._proposers, rules.offers)
        asked_about = render(observation, self._history, offer, room_beside(self._card, system))
        return [Message("system", system), Message("user", asked_about)]

    def _converse(
        self, observation: Observation, messages: list[Message], asked: dict[str, Any], rules: Rules
    ) -> Exchange:
        clock = WallClock()
        turns, answers, complaints, outage = list(messages), list[Answer](), list[str](), False
        for _ in range(ROUNDS):
            try:
                answer = self._chat.complete(turns, asked)
            except ModelError as error:
                complaints.append(str(error))
                outage = True
                break
            answers.append(answer)
            found = read(answer.text, observation, rules, Cost())
            complaints.append(found if isinstance(found, str) else "")
            if not isinstance(found, str):
                break
            again = f"That cannot be used: {found}. Answer again, with one JSON object and nothing else."
            turns += [Message("assistant", answer.text[:LONGEST_ECHO]), Message("user", again)]
        return Exchange(
            member=self._member.name,
            model=self._card.name,
            question=observation.question,
            index=observation.index,
            asked=identity(messages),
            messages=tuple(turns),
            answers=tuple(answers),
            complaints=tuple(complaints),
            outage=outage,
            seconds=self._declared(answers) if self._declared_time else clock.now(),
            usd=sum(self._card.usd(answer.prompt_tokens, answer.reply_tokens) for answer in answers),
        )

    def _declared(self, answers: Sequence[Answer]) -> float:
        card = self._card
        return sum(card.latency_s + answer.reply_tokens / card.tokens_per_s for answer in answers)

    def _rules(self, knobs: Sequence[Knob], observation: Observation) -> Rules:
        rules = rules_of(self._member, Space(tuple(knobs)), self._proposers)
        if not (observation.sources and self._card.edits_shown):
            return rules
        return replace(rules, offers=offers(observation.sources, self._card.edits_shown, observation.index))


def _decision(exchange: Exchange, observation: Observation, rules: Rules) -> Decision:
    tokens = sum(answer.prompt_tokens + answer.reply_tokens for answer in exchange.answers)
    cost = Cost(exchange.seconds, tokens, exchange.usd)
    if exchange.complaints[-1]:
        return Refuse(exchange.complaints[-1], cost, outage=exchange.outage)
    found = read(exchange.answers[-1].text, observation, rules, cost)
    return Refuse(found, cost) if isinstance(found, str) else found
