"""A real repository and real commands for the agent brain: what a member gets, and what it comes to."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from metaloop.brains.registry import make_brain
from metaloop.files.knobs_file import KNOBS_FILE, knobs_file
from metaloop.files.repository import Change, Repository
from metaloop.vocabulary.agents import AgentCard
from metaloop.vocabulary.decisions import Decision, Observation
from metaloop.vocabulary.models import ThinkingTerms
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config
from tests.brains import worlds as w
from tests.brains.objective import member

MODEL = '"""A model."""\n\nWIDTH = 64\n\n\ndef act(x):\n    return max(x, 0.0)\n'
TRAIN = "from nanogpt.model import act\n\nSTEPS = 10\n"
FILES = {"nanogpt/model.py": MODEL, "nanogpt/train.py": TRAIN, "nanogpt/prepare.py": "SECRET = 1\n", "README.md": "#\n"}
SOURCES = {"nanogpt/model.py": MODEL, "nanogpt/train.py": TRAIN}
NUMBERS = itertools.count()
IDENTITY = {"By": "a test"}


def repository(folder: Path, heads: Mapping[str, Config]) -> Repository:
    """One commit for every head, on ``main``, in their order."""
    made = Repository(folder / "repo")
    for number, (commit, config) in enumerate(heads.items()):
        files = {**FILES, KNOBS_FILE: knobs_file(w.SPACE, config)}
        change = Change("main", commit, files, f"Commit {number}", "Because.", IDENTITY, number)
        if number:
            made.commit(change)
        else:
            made.create(change)
    return made


def card(script: str | Path, **fields: Any) -> AgentCard:
    """A card whose command is Python: code, or a file of it."""
    code = ("-c", script) if isinstance(script, str) else (str(script),)
    return AgentCard("a", (sys.executable, *code, "{prompt_file}", "{answer_file}", "{usage_file}"), **fields)


def terms(folder: Path, agent: AgentCard, **fields: Any) -> ThinkingTerms:
    return ThinkingTerms(
        agents=(agent,),
        repository=str(folder / "repo"),
        worktrees=str(folder / "worktrees"),
        transcripts=str(folder / "transcripts"),
        **fields,
    )


def agent(plain: Member, *, edits: bool = True) -> Member:
    return msgspec.structs.replace(plain, brain="a", prompt="You are careful.", edits=edits)


def seen(**fields: Any) -> Observation:
    """A proposer that may edit is asked; a question of its own, because what was answered is not asked again."""
    return w.propose(**{"index": next(NUMBERS), "sources": SOURCES, **fields})


def decide(folder: Path, script: str | Path, asked: Observation, kind: Any = "proposer", **fields: Any) -> Decision:
    """What a member with that command decides in a repository of one commit, ``c0``."""
    if not (folder / "repo").exists():
        repository(folder, {"c0": {}})
    given = terms(folder, card(script, **fields))
    return make_brain(agent(member(kind, "ann")), w.SPACE, 7, (), given).decide(asked)


def alive(word: str) -> list[int]:
    """Processes whose command line holds the word."""
    found = []
    for name in os.listdir("/proc"):
        try:
            text = Path("/proc", name, "cmdline").read_bytes() if name.isdigit() else b""
        except OSError:
            continue
        if word.encode() in text:
            found.append(int(name))
    return found
