"""Questions to people as files, and their answers.

::

    FOLDER/ID.json            the question whole (Question): what `metaloop answer` needs to check an answer
    FOLDER/ID.md              the same for reading
    FOLDER/ID.answer.json     what was answered, or that nobody did; whoever writes it first has decided
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from metaloop.brains.model.chat import UNREADABLE
from metaloop.brains.model.reply import Rules, read
from metaloop.brains.model.rules import rules_of
from metaloop.brains.model.schema import schema
from metaloop.files.run_folder import write_json
from metaloop.vocabulary.decisions import Decision, Observation
from metaloop.vocabulary.models import ModelCard
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Cost
from metaloop.vocabulary.space import Knob, Space

ANSWER = ".answer.json"


class Question(msgspec.Struct, frozen=True):
    """One question to one person. ``knobs`` are those that may be changed, ``proposers`` those that may be steered."""

    id: str
    member: Member
    observation: Observation
    knobs: tuple[Knob, ...]
    proposers: tuple[str, ...]
    deadline_s: float
    choices: tuple[str, ...]
    text: str

    @property
    def rules(self) -> Rules:
        return rules_of(self.member, Space(self.knobs), self.proposers)

    def decide(self, reply: str, cost: Cost) -> Decision | str:
        """The decision that a reply (JSON, as a model's) is, or what is wrong with it."""
        return read(reply, self.observation, self.rules, cost)


class Answered(msgspec.Struct, frozen=True):
    """``reply`` is JSON of the question's reply type; empty: there was no answer in time."""

    by: str
    reply: str


def choices(observation: Observation, rules: Rules) -> tuple[str, ...]:
    """The words that a question may be answered with."""
    if observation.question == "judge":
        asked: dict[str, Any] = schema(observation, rules, ModelCard("human"))
        return tuple(asked["properties"]["verdict"]["enum"])
    return {"propose": ("propose", "pass"), "review": ("approve", "reject"), "standup": ("steer",)}[
        observation.question
    ]


def ask(folder: Path, question: Question) -> Path:
    """Put the question; the file that its answer will be in. The member's older open questions are closed."""
    for path in folder.glob(f"{question.member.name}-*.md"):
        if path.stem != question.id:
            close(folder / f"{path.stem}{ANSWER}", Answered("", ""))
    write_json(folder / f"{question.id}.json", question)
    (folder / f"{question.id}.md").write_text(question.text)
    return folder / f"{question.id}{ANSWER}"


def close(path: Path, answer: Answered) -> bool:
    """Write the answer, unless there is one; whether it was written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(msgspec.json.encode(answer) + b"\n")
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def answer_in(path: Path) -> Answered | None:
    """The answer, once there is one; what somebody wrote there by hand is judged as an answer too."""
    if not path.exists():
        return None
    data = path.read_bytes()
    try:
        return msgspec.json.decode(data, type=Answered)
    except UNREADABLE:
        return Answered("", data.decode(errors="replace") or "nothing")
