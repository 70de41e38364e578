"""Git worktrees of an org run's repository, for members that work in files. Beside its parent nobody knows git.

All worktrees share one ``.git``, and a process that works in one can write there: hooks, settings that name programs,
branches. :meth:`SharedRepository.survey` takes down what must stay, :meth:`SharedRepository.mend` puts it back and says
what was changed; settings and hooks before git is called again, because git obeys them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from metaloop.files.repository import TRAILER, Repository
from metaloop.files.tree import read_regular, remove
from metaloop.vocabulary.errors import RepositoryError
from metaloop.vocabulary.records import TRUNK

TRUNK_REF = f"refs/heads/{TRUNK}"
LOCK = "metaloop-worktrees.lock"
SETTINGS = ("config", "config.worktree", "HEAD", "info", "hooks", "objects/info/alternates", "commondir", "gitdir")
"""Files and folders of ``.git`` that say how git behaves and where it looks."""
MOST_SETTINGS = 1_000_000
"""Bytes of one of them."""


@dataclass(frozen=True)
class Survey:
    """What a worktree's process must leave alone: settings by path below ``.git``, branches and their tips."""

    settings: dict[str, bytes | None]
    refs: dict[str, str]


class SharedRepository(Repository):
    """A repository that several processes have worktrees of at once."""

    def add_worktree(self, place: Path, commit_id: str) -> None:
        """Check the journal's commit out in ``place``, without a branch; what a killed run left there goes.

        Raises:
            RepositoryError: no branch has a commit of that name.
        """
        with self._locked():
            self._forget(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            self._git("worktree", "add", "--quiet", "--detach", "--force", str(place), self.find(commit_id))

    def remove_worktree(self, place: Path) -> None:
        """Delete the worktree and git's memory of it."""
        with self._locked():
            self._forget(place)

    def clear(self, folder: Path) -> None:
        """Delete all that is in the folder of the worktrees: nobody works there any more."""
        with self._locked():
            for place in sorted(folder.iterdir()):
                remove(place)
            self._git("worktree", "prune", "--expire", "now")

    def find(self, commit_id: str) -> str:
        """git's name of the journal's commit."""
        form = f"--format=%H %(trailers:key={TRAILER},valueonly,separator=%x20)"
        for line in self._git("log", form, "--branches").splitlines():
            name, _, ids = line.partition(" ")
            if commit_id in ids.split():
                return name
        raise RepositoryError(f"{self.path} has no commit {commit_id!r}")

    def survey(self, place: Path) -> Survey:
        """What is there before somebody works in the worktree at ``place``."""
        return Survey(self._settings(place), self._refs())

    def mend(self, place: Path, before: Survey) -> list[str]:
        """Put back what was changed since ``before``; the changes, by name. Branches that the run's own record moved
        forward meanwhile stay moved; those that were made in the worktree go."""
        faults = self._mend_settings(self._settings(place), before.settings)
        for ref, tip in self._refs().items():
            known = before.refs.get(ref)
            if tip == known or (_own(ref) and self._grown(ref, known, tip)) or self._elsewhere(ref, place):
                continue
            if _own(ref) or known:
                faults.append(f".git/{ref}")
            self._git("update-ref", *(["--no-deref", ref, known] if known else ["--no-deref", "-d", ref]))
        for ref in before.refs.keys() - self._refs().keys():
            faults.append(f".git/{ref}")
            self._git("update-ref", "--no-deref", ref, before.refs[ref])
        return faults

    def _mend_settings(self, found: dict[str, bytes | None], known: dict[str, bytes | None]) -> list[str]:
        git = self.path / ".git"
        changed = [name for name in sorted({*found, *known}) if found.get(name, b"") != known.get(name, b"")]
        for name in changed:
            path = git / name
            with contextlib.suppress(NotADirectoryError):  # its folder was a file, and is one again
                remove(path)
            data = known.get(name)
            if data is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        return [f".git/{name}" for name in changed]

    def _settings(self, place: Path) -> dict[str, bytes | None]:
        """Contents by path below ``.git``; ``None`` for what is no plain file."""
        git = self.path / ".git"
        found: dict[str, bytes | None] = {}
        for part in ("", f"worktrees/{place.name}/"):
            for name in SETTINGS:
                if part and name == "HEAD":
                    continue
                for path in _files(git / f"{part}{name}"):
                    found[path.relative_to(git).as_posix()] = read_regular(path, MOST_SETTINGS)
        return found

    def _refs(self) -> dict[str, str]:
        form = "--format=%(refname) %(objectname)"
        return dict(line.split(" ") for line in self._git("for-each-ref", form).splitlines())

    def _grown(self, ref: str, before: str | None, tip: str) -> bool:
        """Whether a branch was moved as the run's record moves it: forward, or back to trunk, by a named commit."""
        named = self._git("log", "-1", f"--format=%(trailers:key={TRAILER},valueonly)", tip).strip()
        if not named or before is None or before in self._git("rev-list", tip).split():
            return bool(named)
        return ref != TRUNK_REF and tip in self._git("rev-list", TRUNK).split()

    def _elsewhere(self, ref: str, place: Path) -> bool:
        """Whether another worktree has the branch checked out, so that it is that one's."""
        where = self._git("for-each-ref", "--format=%(worktreepath)", ref).strip()
        return not _own(ref) and where not in ("", str(place))

    def _forget(self, place: Path) -> None:
        remove(place)
        self._git("worktree", "prune", "--expire", "now")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time changes the list of worktrees."""
        fd = os.open(self.path / ".git" / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _own(ref: str) -> bool:
    """Whether the org run's record has the branch, and nobody else."""
    return ref == TRUNK_REF or ref.startswith("refs/heads/team/")


def _files(path: Path) -> list[Path]:
    """The path itself if it is no folder, else all that is below it; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        return [path] if path.is_symlink() or path.exists() else []
    return [each for inside in sorted(path.iterdir()) for each in _files(inside)]
