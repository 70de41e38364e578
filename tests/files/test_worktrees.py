"""Worktrees with real git: many at once, left behind by the dead, and told apart from the run's own record."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from metaloop.files.repository import Change
from metaloop.files.tree import changed, read_regular, survey
from metaloop.files.worktrees import SharedRepository
from metaloop.vocabulary.errors import RepositoryError


def change(branch: str, number: int) -> Change:
    files = {"knobs.yaml": f"value: {number}\n"}
    return Change(branch, f"id{number}", files, f"Change {number}", "Because.", {"By": "me"}, number)


@pytest.fixture
def shared(tmp_path: Path) -> SharedRepository:
    made = SharedRepository(tmp_path / "repo")
    made.create(change("main", 0))
    made.commit(change("main", 1))
    return made


def git(place: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=place, capture_output=True, text=True, check=True).stdout


def test_it_shows_the_commit_that_the_journal_names(shared: SharedRepository, tmp_path: Path) -> None:
    shared.set_branch("team/a", "main")
    shared.commit(change("team/a", 2))
    for number in (0, 1, 2):
        shared.add_worktree(tmp_path / "trees" / "ann", f"id{number}")
        assert (tmp_path / "trees" / "ann" / "knobs.yaml").read_text() == f"value: {number}\n"
    shared.remove_worktree(tmp_path / "trees" / "ann")
    assert git(shared.path, "worktree", "list").count("\n") == 1
    assert git(shared.path, "fsck", "--strict") == ""


def test_a_commit_that_is_not_there_is_named(shared: SharedRepository, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no commit 'id'"):
        shared.add_worktree(tmp_path / "ann", "id")


def test_many_at_once(shared: SharedRepository, tmp_path: Path) -> None:
    def work(name: str) -> str:
        mine = SharedRepository(shared.path)
        for _ in range(3):
            mine.add_worktree(tmp_path / "trees" / name, "id1")
            text = (tmp_path / "trees" / name / "knobs.yaml").read_text()
            mine.remove_worktree(tmp_path / "trees" / name)
        return text

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(work, "abcdef")) == {"value: 1\n"}
    assert git(shared.path, "worktree", "list").count("\n") == 1


@pytest.mark.parametrize("left", ["tree", "half", "file", "link"])
def test_what_the_dead_left_is_no_harm(shared: SharedRepository, tmp_path: Path, left: str) -> None:
    place = tmp_path / "ann"
    if left == "tree":
        shared.add_worktree(place, "id0")
        (place / "new").write_text("x")
    elif left == "half":
        (place / ".git").mkdir(parents=True)
    elif left == "file":
        place.write_text("x")
    else:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "kept").write_text("x")
        place.symlink_to(tmp_path / "elsewhere")
    shared.add_worktree(place, "id1")
    assert sorted(path.name for path in place.iterdir()) == [".git", "knobs.yaml"]
    assert left != "link" or (tmp_path / "elsewhere" / "kept").exists()


def test_the_run_s_own_merges_meanwhile_are_no_meddling(shared: SharedRepository, tmp_path: Path) -> None:
    shared.set_branch("team/a", "main")
    shared.commit(change("team/a", 2))
    shared.add_worktree(tmp_path / "ann", "id1")
    before = shared.survey(tmp_path / "ann")
    shared.commit(change("main", 3))
    shared.set_branch("team/a", "main")
    shared.set_branch("team/b", "main")
    shared.show_trunk()
    shared.add_worktree(tmp_path / "bob", "id3")
    git(tmp_path / "bob", "checkout", "-q", "-b", "bobs")
    assert shared.mend(tmp_path / "ann", before) == []
    assert shared.trunk_ids() == ["id0", "id1", "id3"]
    assert "refs/heads/bobs" in git(shared.path, "for-each-ref"), "another worktree has it"
    assert sorted(shared.commit_ids()) == ["id0", "id1", "id3"]


def test_a_branch_of_the_record_cannot_be_rewound(shared: SharedRepository, tmp_path: Path) -> None:
    shared.add_worktree(tmp_path / "ann", "id1")
    before = shared.survey(tmp_path / "ann")
    git(tmp_path / "ann", "update-ref", "refs/heads/main", "HEAD~1")
    git(tmp_path / "ann", "tag", "mine")
    assert shared.mend(tmp_path / "ann", before) == [".git/refs/heads/main"]
    assert shared.trunk_ids() == ["id0", "id1"]
    assert git(shared.path, "tag") == ""


def test_settings_come_back_whatever_stands_in_their_place(shared: SharedRepository, tmp_path: Path) -> None:
    shared.add_worktree(tmp_path / "ann", "id1")
    before = shared.survey(tmp_path / "ann")
    config = shared.path / ".git" / "config"
    kept = config.read_bytes()
    config.unlink()
    config.mkdir()
    (config / "inside").write_text("x")
    (shared.path / ".git" / "hooks" / "pre-commit").symlink_to("/bin/true")
    assert shared.mend(tmp_path / "ann", before) == [".git/config", ".git/config/inside", ".git/hooks/pre-commit"]
    assert config.read_bytes() == kept
    assert not (shared.path / ".git" / "hooks" / "pre-commit").is_symlink()


def test_folders_without_end_are_gone_through_and_removed(shared: SharedRepository, tmp_path: Path) -> None:
    place = tmp_path / "ann"
    shared.add_worktree(place, "id1")
    deep = place
    for _ in range(1200):
        deep = deep / "d"
    subprocess.run(["mkdir", "-p", str(deep.relative_to(place))], cwd=place, check=True)
    (deep / "file").write_text("x")
    assert changed({}, survey(place))[f"{'d/' * 1200}file"] == "new"
    (tmp_path / "kept").mkdir()
    (place / "link").symlink_to(tmp_path / "kept")
    shared.clear(tmp_path / "ann")
    shared.remove_worktree(place)
    assert not place.exists()
    assert (tmp_path / "kept").exists()
    assert git(shared.path, "worktree", "list").count("\n") == 1


def test_what_is_no_plain_file_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("x")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("x")
    found = changed({"gone": "1", "text": "2"}, survey(tmp_path, ("__pycache__",)))
    assert found == {
        "gone": "deleted",
        "link": "symbolic link to '/etc/passwd'",
        "pipe": "special file",
        "text": "changed",
    }
    assert read_regular(tmp_path / "link", 100) is None
    assert read_regular(tmp_path / "pipe", 100) is None
    assert read_regular(tmp_path / "text", 100) == b"x"
    assert read_regular(tmp_path / "text", 0) is None
