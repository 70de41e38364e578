"""The git repository of an org run: the only place that knows git.

``git log main`` is the research record. The journal stays the truth: the repository is written after it, and
:meth:`Repository.commit_ids` tells which of the journal's commits it already has, so that a run that was killed
between the two is mended by committing what is missing.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec

from metaloop.files.lines import GO_ON
from metaloop.vocabulary.errors import RepositoryError

TRAILER = "Commit-Id"
"""The trailer that carries the journal's own name of a commit (git's hash also depends on prose and dates)."""
_IDENTITY = "metaloop <metaloop@localhost>"


class Change(msgspec.Struct, frozen=True):
    """One commit to make: whole file contents by path, on ``branch``, whose parent is the branch's tip.

    ``trailers`` end the message, one ``Key: value`` a line. ``also`` names a second parent branch (a feature branch
    that is merged in). ``seconds`` is run time.
    """

    branch: str
    commit_id: str
    files: dict[str, str]
    subject: str
    body: str
    trailers: dict[str, str]
    seconds: int
    also: str | None = None


class Repository:
    """A git repository with a work tree that shows trunk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, first: Change) -> None:
        """Make the repository with its first commit, unless both are there."""
        if (self.path / ".git").exists() and self._tip(f"refs/heads/{first.branch}"):
            return
        self.path.mkdir(parents=True, exist_ok=True)
        self._git("init", "--quiet", "--initial-branch", first.branch, ".")
        self.commit(first)

    def commit(self, change: Change) -> None:
        """Add one commit to its branch (which starts at trunk's tip if it is new)."""
        ref = f"refs/heads/{change.branch}"
        trailers = "\n".join(f"{key}: {value}" for key, value in {**change.trailers, TRAILER: change.commit_id}.items())
        message = f"{change.subject}\n\n{change.body.rstrip()}\n\n{trailers}\n"
        # Dates are run time, not wall time: the same journal gives the same hashes on every machine.
        lines = [f"commit {ref}", f"committer {_IDENTITY} {change.seconds} +0000", _data(message)]
        tip = self._tip(ref) or self._tip("refs/heads/main")
        if tip:
            lines.append(f"from {tip}")
        other = self._tip(f"refs/heads/{change.also}") if change.also else None
        if other and other != tip:
            lines.append(f"merge {other}")
        lines += [f"M 100644 inline {path}\n{_data(text)}" for path, text in sorted(change.files.items())]
        self._git("fast-import", "--quiet", "--force", stdin="\n".join([*lines, "", "done", ""]))

    def set_branch(self, branch: str, to: str) -> None:
        """Point ``branch`` at the tip of ``to``."""
        self._git("update-ref", f"refs/heads/{branch}", f"refs/heads/{to}")

    def show_trunk(self) -> None:
        """Bring the work tree to trunk's tip."""
        self._git("reset", "--quiet", "--hard", "main")

    def commit_ids(self) -> list[str]:
        """The journal's names of all commits on any branch, oldest first."""
        return self._trailers("--branches")

    def trunk_ids(self) -> list[str]:
        """The journal's names of trunk's own commits (feature branches' left out), oldest first."""
        return self._trailers("--first-parent", "main")

    def _trailers(self, *which: str) -> list[str]:
        form = f"--format=%(trailers:key={TRAILER},valueonly)"
        log = self._git("log", "--reverse", form, *which)
        return [line for line in log.splitlines() if line]

    def read(self, branch: str, path: str) -> str:
        """A file's content at the tip of ``branch``."""
        return self._git("show", f"{branch}:{path}")

    def _tip(self, ref: str) -> str | None:
        try:
            return self._git("rev-parse", "--verify", "--quiet", ref).strip()
        except RepositoryError:
            return None

    def _git(self, *arguments: str, stdin: str | None = None) -> str:
        # Neither the user's configuration nor hooks from templates may change what a run records.
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", *arguments]
        try:
            done = subprocess.run(
                command, cwd=self.path, env=environment, input=stdin, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise RepositoryError(f"git cannot be run: {error}. Install git and put it on the PATH.") from None
        if done.returncode:
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
            # The first line tells the cause and the last what came of it; in between there may be one for each file.
            both = said[0] if len(said) == 1 else f"{said[0]} … {said[-1]}"
            raise RepositoryError(f"git {arguments[0]} failed in {self.path}: {both}. Mend that; {GO_ON}")
        return done.stdout


def _data(text: str) -> str:
    """A block of fast-import data; the length counts bytes."""
    return f"data {len(text.encode())}\n{text}"
