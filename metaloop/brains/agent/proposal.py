"""From what an agent left in its worktree to a decision, or a complaint that names what is wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from metaloop.brains.agent.workplace import PROPOSAL_FILE, Workplace
from metaloop.brains.model.reply import MOST_TEXT, Rules, no_edit
from metaloop.files.knobs_file import KNOBS_FILE, read_knobs
from metaloop.files.tree import TreeError
from metaloop.vocabulary.code import Edit, edits_between
from metaloop.vocabulary.decisions import Observation, Pass, Propose
from metaloop.vocabulary.errors import EditError, FileError
from metaloop.vocabulary.records import Config, effective
from metaloop.vocabulary.space import Space
from metaloop.vocabulary.text import one_line

MOST_NAMED = 5
FIELD = re.compile(r"(predicted-delta|idea)\s*:\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """What the proposal file says."""

    hypothesis: str
    predicted_delta: str = ""
    idea: str = ""


def proposal(place: Workplace, observation: Observation, space: Space, rules: Rules, said: str) -> Propose | Pass | str:
    """The decision that the worktree amounts to. ``said``: the agent's last words, in place of a proposal file.

    ``space`` is the target's, ``rules.space`` the part of it that the member may change.
    """
    try:
        faults = place.faults()
    except TreeError as error:
        return str(error)
    if faults:
        more = f" and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        return f"it changed what it may not: {', '.join(faults[:MOST_NAMED])}{more}"
    texts = place.changed_texts()
    try:
        changes = _changes(texts, observation, space, rules)
        edits = _edits(texts, observation.sources)
    except (EditError, FileError) as error:
        return str(error)
    statement = _statement(place.read(PROPOSAL_FILE) or said)
    if not changes and not edits:
        return Pass(statement.hypothesis or "it changed nothing")
    return _propose(statement, changes, edits, observation, rules)


def _changes(texts: Mapping[str, str | None], observation: Observation, space: Space, rules: Rules) -> Config:
    """The knobs that differ from the head's."""
    if KNOBS_FILE not in texts:
        return {}
    text = texts[KNOBS_FILE]
    if text is None:
        raise EditError(f"{KNOBS_FILE}: it is no UTF-8 text")
    defaults = space.defaults()
    head = {**defaults, **effective({}, observation.head.config, defaults)}
    found = {name: value for name, value in read_knobs(text, space).items() if value != head[name]}
    outside = next((name for name in found if name not in rules.space), None)
    if outside:
        groups = ", ".join(rules.space.groups)
        raise EditError(f"{KNOBS_FILE}: {outside} is not among the knobs that you may change now (those of {groups})")
    return found


def _edits(texts: Mapping[str, str | None], sources: Mapping[str, str]) -> tuple[Edit, ...]:
    found: list[Edit] = []
    for path, text in texts.items():
        if path == KNOBS_FILE:
            continue
        if text is None:
            raise EditError(f"{path}: it is no UTF-8 text, or too large")
        found += edits_between(path, sources[path], text)
    against = no_edit(tuple(found), sources) if found else None
    if against:
        raise EditError(against)
    return tuple(found)


def _statement(text: str) -> Statement:
    fields: dict[str, str] = {}
    prose: list[str] = []
    for line in text.splitlines():
        found = FIELD.fullmatch(line.strip())
        if found:
            fields[found[1].lower()] = found[2].strip()
        else:
            prose.append(line.lstrip("#"))
    paragraphs = [part for part in "\n".join(prose).split("\n\n") if part.strip()]
    said = " ".join(paragraphs)
    return Statement(one_line(said, MOST_TEXT), fields.get("predicted-delta", ""), fields.get("idea", ""))


def _propose(
    statement: Statement, changes: Config, edits: tuple[Edit, ...], observation: Observation, rules: Rules
) -> Propose | str:
    if not statement.hypothesis:
        return f"{PROPOSAL_FILE} is missing or empty: say why the change should help"
    delta = _number(statement.predicted_delta)
    if statement.predicted_delta and delta is None:
        return f"{PROPOSAL_FILE}: predicted-delta must be a number, got {statement.predicted_delta[:60]!r}"
    if statement.idea and statement.idea not in {idea.id for idea in observation.ideas}:
        return f"{PROPOSAL_FILE}: there is no idea {statement.idea[:60]!r}; leave the line out, or name a listed one"
    fraction, margin, keep = rules.screening
    return Propose(
        changes=changes,
        hypothesis=statement.hypothesis,
        predicted_delta=delta,
        screen_fraction=fraction,
        screen_margin=margin,
        screen_keep=keep,
        idea=statement.idea or None,
        edits=edits,
    )


def _number(text: str) -> float | None:
    try:
        found = float(text.split(maxsplit=1)[0]) if text else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None
