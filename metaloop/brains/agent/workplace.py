"""Where a coding agent works for one question: a worktree at the head, the prompt, room for its answer.

::

    WORKTREES/MEMBER/               the worktree: the target's files, knobs.yaml
    WORKTREES/MEMBER.call/          prompt.md, answer.json, usage.json, tmp/
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from metaloop.files.knobs_file import KNOBS_FILE, knobs_file
from metaloop.files.tree import changed, read_regular, remove, survey
from metaloop.files.worktrees import SharedRepository
from metaloop.vocabulary.decisions import Observation
from metaloop.vocabulary.space import Space

PROPOSAL_FILE = "PROPOSAL.md"
"""Where an agent says what it changed and why."""
DROPPINGS = (
    "__pycache__", "*.pyc", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".aider*", ".claude", ".codex", ".opencode",
)  # fmt: skip
"""What interpreters, checkers and the agents themselves leave behind, anywhere in the worktree. Of all else that is new
or changed, only the editable files, the knobs and the proposal may be."""
MOST_TEXT = 1_000_000
"""Bytes of a file that is read."""


class Workplace:
    """One question's place; :meth:`close` it whatever happens."""

    def __init__(self, repository: SharedRepository, worktrees: Path, member: str) -> None:
        self._repository = repository
        self.tree = worktrees / member
        self._call = worktrees / f"{member}.call"
        self.prompt = self._call / "prompt.md"
        self.answer = self._call / "answer.json"
        self.usage = self._call / "usage.json"
        self.scratch = self._call / "tmp"

    def open(self, observation: Observation, space: Space, droppings: Sequence[str]) -> None:
        """Make it anew, with the head that the observation shows.

        Raises:
            RepositoryError: the repository does not have that head, or git refused.
        """
        remove(self._call)
        self.scratch.mkdir(parents=True)
        self._repository.add_worktree(self.tree, observation.head.commit)
        # The observation is the truth: somebody may have meddled with the repository before.
        self.texts = {**observation.sources, KNOBS_FILE: knobs_file(space, observation.head.config)}
        for path, text in self.texts.items():
            if self.read(path) != text:
                (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
                (self.tree / path).write_text(text)
        self._ignored = (*DROPPINGS, *droppings)
        self._before = survey(self.tree, self._ignored)
        self._shared = self._repository.survey(self.tree)

    def close(self) -> None:
        """Leave nothing of it."""
        self._repository.remove_worktree(self.tree)
        remove(self._call)

    def meddling(self) -> list[str]:
        """What of the shared repository was changed; it is put back."""
        return self._repository.mend(self.tree, self._shared)

    def faults(self) -> list[str]:
        """What was changed that may not be, each with what happened to it.

        Raises:
            TreeError: the worktree holds too much to be looked through.
        """
        allowed = {**dict.fromkeys(self.texts, "changed"), PROPOSAL_FILE: "new"}
        found = changed(self._before, survey(self.tree, self._ignored))
        return [f"{path} ({what})" for path, what in found.items() if allowed.get(path) != what]

    def read(self, path: str) -> str | None:
        """A file's text; ``None`` where it is no plain file, too large or not UTF-8."""
        return read_text(self.tree / path)

    def changed_texts(self) -> dict[str, str | None]:
        """What became of the editable files and the knobs, where they changed; ``None``: no text."""
        now = {path: self.read(path) for path in self.texts}
        return {path: text for path, text in now.items() if text != self.texts[path]}


def read_text(path: Path) -> str | None:
    """A plain file's text, ``None`` where there is none."""
    data = read_regular(path, MOST_TEXT)
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def diff(before: Mapping[str, str], after: Mapping[str, str | None]) -> str:
    """A unified diff of all changed texts."""
    parts = [
        "".join(difflib.unified_diff(_lines(before[path]), _lines(text or ""), f"a/{path}", f"b/{path}"))
        for path, text in after.items()
    ]
    return "".join(parts)


def _lines(text: str) -> list[str]:
    return [line if line.endswith("\n") else f"{line}\n" for line in text.splitlines(keepends=True)]
