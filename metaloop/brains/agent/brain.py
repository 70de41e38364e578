"""The brain that is a command: a worktree at the head, the role's prompt, one call, and what was left there is checked.

It gets one round of mending, as a model does. A command that fails, or that meddles with the repository, gets none.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from metaloop.brains.agent.command import Ran, environment, run, secrets
from metaloop.brains.agent.prompt import again, how_to_answer, how_to_propose
from metaloop.brains.agent.proposal import proposal
from metaloop.brains.agent.usage import Told, Usage, told
from metaloop.brains.agent.workplace import Workplace, diff, read_text
from metaloop.brains.brain import Policy
from metaloop.brains.directing import steered_by
from metaloop.brains.model.chat import Answer, Message
from metaloop.brains.model.prompt import Offer, render
from metaloop.brains.model.reply import Rules, read
from metaloop.brains.model.rules import rules_of
from metaloop.brains.model.schema import schema
from metaloop.brains.model.transcript import Exchange, Transcripts, identity
from metaloop.files.worktrees import SharedRepository
from metaloop.vocabulary.agents import AgentCard, fill, placeholders
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.decisions import Decision, Observation, Propose, Refuse
from metaloop.vocabulary.errors import MetaloopError, ModelError
from metaloop.vocabulary.models import ModelCard, ThinkingTerms
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Cost, Outcome
from metaloop.vocabulary.space import Space

ROUNDS = 2
"""Calls for one question: the first, and one that is told what was wrong with it."""
LONGEST_TRANSCRIPT = 100_000
"""Characters of the output and of the diff that a transcript keeps, the last ones."""
LEAST_SECRET = 6
"""Characters: what is shorter hides nothing, and would be found everywhere."""


class AgentExchange(Exchange, frozen=True, kw_only=True):
    """What was asked of a command, and what it did: standard error, its edits as a diff, the decision."""

    decision: Decision
    errors: tuple[str, ...] = ()
    diff: str = ""


class AgentBrain:
    """One member whose decisions a command makes.

    Raises:
        ModelError: there is no repository to work in.
    """

    def __init__(
        self, member: Member, space: Space, colleagues: tuple[Member, ...], card: AgentCard, terms: ThinkingTerms
    ) -> None:
        if not terms.repository:
            raise ModelError(f"member {member.name} is a coding agent, and this run has no repository to work in.")
        self._member = member
        self._space = space
        self._card = card
        self._proposers = steered_by(member, colleagues)
        self._declared_time = terms.declared_time
        self._transcripts = Transcripts(terms.transcripts, member.name, AgentExchange)
        self._repository = SharedRepository(Path(terms.repository))
        self._place = Workplace(self._repository, Path(terms.worktrees), member.name)
        self._secrets = [value for value in secrets(card) if len(value) >= LEAST_SECRET]
        self._focus = Policy(member).names("focus") if member.kind == "proposer" else ()
        self._history: list[Outcome] = []

    def decide(self, observation: Observation) -> Decision:
        self._history += observation.news
        groups = (observation.steering.focus or self._focus) if self._member.kind == "proposer" else ()
        rules = rules_of(self._member, Space(self._space.in_groups(groups)), self._proposers)
        messages = self._messages(observation, rules)
        asked = identity(messages)
        exchange = self._transcripts.recall(observation.index, asked)
        if exchange is None:
            exchange = self._work(observation, messages, rules)
            self._transcripts.keep(exchange)
        return exchange.decision

    def _messages(self, observation: Observation, rules: Rules) -> list[Message]:
        if observation.question == "propose":
            how = how_to_propose(observation.sources)
        else:
            how = how_to_answer(schema(observation, rules, ModelCard(self._card.name)), self._place)
        system = f"{self._member.prompt.strip()}\n\n{how}"
        # The code is in the worktree: it need not be in the prompt.
        seen = msgspec.structs.replace(observation, sources={})
        offer = Offer(rules.space.knobs, self._proposers)
        return [
            Message("system", system),
            Message("user", render(seen, self._history, offer, self._card.prompt_chars - len(system))),
        ]

    def _work(self, observation: Observation, messages: list[Message], rules: Rules) -> AgentExchange:
        """Open the workplace, call the command, and close up, whatever comes."""
        clock = WallClock()
        calls = _Calls(self._card)
        try:
            self._place.open(observation, self._space, self._card.droppings)
            found = self._converse(observation, messages, rules, calls)
            changes = diff(self._place.texts, self._place.changed_texts())
        except (MetaloopError, OSError) as error:
            found, changes = Refuse(str(error), outage=True), ""
        try:
            self._place.close()
        except (MetaloopError, OSError) as error:
            found = Refuse(str(error), outage=True)
        seconds = self._card.seconds * len(calls.told) if self._declared_time else clock.now()
        decision = msgspec.structs.replace(found, cost=Cost(seconds, calls.tokens, calls.usd))
        return AgentExchange(
            member=self._member.name,
            model=self._card.name,
            question=observation.question,
            index=observation.index,
            asked=identity(messages),
            messages=tuple(Message(m.role, self._clean(m.content)) for m in messages),
            answers=tuple(calls.answers),
            complaints=tuple(calls.complaints),
            outage=isinstance(found, Refuse) and found.outage,
            seconds=seconds,
            usd=calls.usd,
            decision=decision,
            errors=tuple(calls.errors),
            diff=self._clean(changes)[-LONGEST_TRANSCRIPT:],
        )

    def _converse(self, observation: Observation, messages: list[Message], rules: Rules, calls: _Calls) -> Decision:
        prompt = written("\n\n".join(message.content for message in messages))
        found: Decision | str = ""
        for _ in range(ROUNDS):
            self._place.prompt.write_text(prompt)
            ran, said = self._call(observation, prompt)
            calls.add(said, self._clean(ran.err))
            meddled = self._place.meddling()
            problem = ran.problem or said.problem
            if meddled:
                problem = f"it meddled with the repository, which was put back: {', '.join(meddled[:5])}"
            found = problem or self._read(observation, rules, said)
            calls.complaints.append(self._clean(found) if isinstance(found, str) else "")
            if problem or not isinstance(found, str):
                break
            prompt += written(again(found))
        if isinstance(found, str):
            return Refuse(calls.complaints[-1], outage=ran.missing)
        return found

    def _call(self, observation: Observation, prompt: str) -> tuple[Ran, Told]:
        self._place.answer.unlink(missing_ok=True)
        self._place.usage.unlink(missing_ok=True)
        command = [fill(part, self._values(observation.question, prompt)) for part in self._card.command]
        env = environment(self._card, self._place.scratch, self._member.name)
        ran = run(self._card, command, self._place.tree, env, self._stdin())
        said = told(self._card, prompt, ran.out, self._place.usage)
        answer = read_text(self._place.answer)
        said = msgspec.structs.replace(said, text=answer or said.text)
        return ran, msgspec.structs.replace(said, text=self._clean(said.text), problem=self._clean(said.problem))

    def _values(self, question: str, prompt: str) -> dict[str, object]:
        """What the placeholders of a command stand for."""
        return {
            "prompt": prompt,
            "prompt_file": self._place.prompt,
            "answer_file": self._place.answer,
            "usage_file": self._place.usage,
            "question": question,
            "member": self._member.name,
            "python": sys.executable,
        }

    def _stdin(self) -> Path:
        given = {mark for part in self._card.command for mark in placeholders(part)} & {"prompt", "prompt_file"}
        return Path("/dev/null") if given else self._place.prompt

    def _read(self, observation: Observation, rules: Rules, said: Told) -> Decision | str:
        if observation.question != "propose":
            return read(said.text, observation, rules, Cost())
        found = proposal(self._place, observation, self._space, rules, said.text)
        if isinstance(found, Propose):
            written = msgspec.json.encode(found).decode()
            if self._clean(written) != written:
                return "it holds the value of a secret variable of your environment, which is never written down"
        return found

    def _clean(self, text: str) -> str:
        """Without the secrets: what is written down is read by others."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def written(prompt: str) -> str:
    """The prompt as a file and an argument can hold it: UTF-8, and no NUL."""
    return prompt.encode(errors="replace").decode().replace("\0", "")


class _Calls:
    """What the calls for one question came to."""

    def __init__(self, card: AgentCard) -> None:
        self._card = card
        self.told: list[Told] = []
        self.complaints: list[str] = []
        self.errors: list[str] = []

    def add(self, said: Told, err: str) -> None:
        self.told.append(said)
        self.errors.append(err[-LONGEST_TRANSCRIPT:])

    @property
    def answers(self) -> list[Answer]:
        return [Answer(t.text[-LONGEST_TRANSCRIPT:], t.usage.input_tokens, t.usage.output_tokens) for t in self.told]

    @property
    def tokens(self) -> int:
        return sum(t.usage.input_tokens + t.usage.output_tokens for t in self.told)

    @property
    def usd(self) -> float:
        return sum(self._usd(t.usage) for t in self.told)

    def _usd(self, usage: Usage) -> float:
        return self._card.usd(usage.input_tokens, usage.output_tokens) if usage.usd is None else usage.usd
