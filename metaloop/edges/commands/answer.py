"""``metaloop answer``: what people who are members of an organization are asked, and their answers."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from metaloop.brains.human.question import ANSWER, Answered, Question, close
from metaloop.brains.model.reply import (
    Change,
    JudgeReply,
    Pointer,
    ProposeCodeReply,
    ProposeReply,
    ReviewReply,
    StandUpReply,
)
from metaloop.edges.commands.idea import parse_settings, run_of
from metaloop.execution.org_run import has_ended
from metaloop.files.run_folder import OrgRunFolder, read_json
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.records import Cost
from metaloop.vocabulary.space import Space
from metaloop.vocabulary.text import nearest


class Open(msgspec.Struct, frozen=True):
    """A question that waits: what it is about, what it may be answered with, and how long it still waits."""

    id: str
    member: str
    question: str
    choices: tuple[str, ...]
    seconds_left: float
    file: str
    text: str


class OpenQuestions(msgspec.Struct, frozen=True):
    """What is open now."""

    open: tuple[Open, ...]


class AnswerTaken(msgspec.Struct, frozen=True):
    """An answer that stands."""

    answered: str
    choice: str


@click.command("answer")
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR")
@click.argument("name", required=False, metavar="[ID]")
@click.argument("choice", required=False, metavar="[CHOICE]")
@click.option(
    "--reason", default="", help="Why, in a sentence. It stands in the journal; of a proposal, its hypothesis."
)
@click.option(
    "--set", "settings", multiple=True, metavar="KNOB=VALUE", help="propose: what to try; repeat for several."
)
@click.option("--predict", type=float, help="propose: the bpb you expect minus the head's; negative is better.")
@click.option("--idea", help="propose: id of the idea that it follows.")
@click.option("--repeats", type=int, default=0, help="repeat: scores on this many seeds.")
@click.option("--together", multiple=True, metavar="ID", help="combine: held proposals to train along.")
@click.option("--focus", multiple=True, metavar="MEMBER=GROUP,...", help="steer: where a proposer should look.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def answer_command(directory: Path, name: str | None, choice: str | None, as_json: bool, **given: Any) -> None:
    """List what people are asked in a running organization; with ID and CHOICE, answer.

    DIR is a run's folder, or one org run's. A member whose `model` is `human` is a person. After the deadline
    (`human: {deadline_s: ...}` in the models file) the organization goes on: a review is then no vote, a verdict goes
    to another merger or the candidate is discarded.

    \b
    Examples:
      metaloop answer runs/LATEST
      metaloop answer runs/LATEST strict-reviewer-3-1f0a approve --reason "small and new"
      metaloop answer runs/LATEST testing-merger-0-93bd repeat --repeats 3 --reason "one seed is luck"
      metaloop answer runs/LATEST me-7-00c1 propose --set matrix_lr=0.03 --predict -0.01 --reason "steps are short"
    """
    run_of(directory)
    waiting = {path.name.removesuffix(".json"): path for path in _waiting(directory)}
    if name is None:
        _show([_told(path) for path in waiting.values()], as_json)
        return
    if name not in waiting:
        known = f"Open: {', '.join(waiting)}." if waiting else "None is open."
        raise UsageError(f"no open question {name!r}{nearest(name, waiting)}. {known}")
    question = read_json(waiting[name], Question)
    if choice not in question.choices:
        found = f"got {choice!r}{nearest(choice, question.choices)}" if choice else "got nothing"
        raise UsageError(f"{name} can be answered with {', '.join(question.choices)}; {found}. Choose one of them.")
    reply = msgspec.json.encode(_reply(question, choice, given)).decode()
    wrong = question.decide(reply, Cost())
    if isinstance(wrong, str):
        raise UsageError(f"{name}: {wrong}.")
    if not close(waiting[name].with_name(name + ANSWER), Answered(getpass.getuser(), reply)):
        raise UsageError(f"{name} was closed meanwhile: somebody answered, or its deadline has passed.")
    click.echo(msgspec.json.encode(AnswerTaken(name, choice)) if as_json else f"{name}: {choice}")


def _waiting(directory: Path) -> list[Path]:
    """Files of the questions that somebody still waits for."""
    folders = [folder for folder in directory.glob("**/questions") if not has_ended(OrgRunFolder(folder.parent))]
    found = [path for folder in folders for path in folder.glob("*.json") if not path.name.endswith(ANSWER)]
    return [
        path
        for path in sorted(found)
        if not path.with_name(path.stem + ANSWER).exists() and _left(path, read_json(path, Question)) > 0
    ]


def _left(path: Path, question: Question) -> float:
    return path.stat().st_mtime + question.deadline_s - time.time()


def _told(path: Path) -> Open:
    question = read_json(path, Question)
    return Open(
        id=question.id,
        member=question.member.name,
        question=question.observation.question,
        choices=question.choices,
        seconds_left=round(_left(path, question), 1),
        file=str(path.with_suffix(".md")),
        text=question.text,
    )


def _show(found: list[Open], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(OpenQuestions(tuple(found))))
        return
    for one in found:
        click.echo(f"{one.id}  {one.question}: {' | '.join(one.choices)}  ({one.seconds_left:.0f} s left)  {one.file}")
    if not found:
        click.echo("nobody is asked anything now")


def _reply(question: Question, choice: str, given: dict[str, Any]) -> msgspec.Struct:
    """The answer as a model would give it."""
    asked, reason = question.observation.question, given["reason"]
    if not reason.strip():
        raise UsageError('--reason is missing: say why, in a sentence: --reason "...".')
    if asked == "review":
        return ReviewReply(reason, choice == "approve")
    if asked == "judge":
        return JudgeReply(reason, choice, given["repeats"], list(given["together"]))  # type: ignore[arg-type]
    if asked == "standup":
        return StandUpReply(reason, [_pointer(one) for one in given["focus"]])
    return _proposal(question, choice, given)


def _proposal(question: Question, choice: str, given: dict[str, Any]) -> ProposeReply:
    changes = parse_settings(Space(question.knobs), given["settings"]) if choice == "propose" else {}
    if choice == "propose" and (not changes or given["predict"] is None):
        raise UsageError("a proposal needs --set KNOB=VALUE and --predict: what to try, and what you expect of it.")
    made = [Change(knob, value) for knob, value in changes.items()]
    fields = (given["reason"], made, given["predict"] or 0.0, given["idea"])
    return ProposeCodeReply(*fields, edits=[]) if question.observation.sources else ProposeReply(*fields)


def _pointer(text: str) -> Pointer:
    member, equals, groups = text.partition("=")
    if not equals:
        raise UsageError(f"--focus wants MEMBER=GROUP,GROUP, got {text!r}.")
    return Pointer(member, [group for group in groups.split(",") if group], 1.0)
