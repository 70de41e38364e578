"""The repository, with real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from metaloop.files.repository import Change, Repository
from metaloop.vocabulary.errors import RepositoryError


def change(branch: str, number: int, also: str | None = None) -> Change:
    text = f"value: {number}  # ünïcode\n"
    return Change(
        branch, f"id{number}", {"knobs.yaml": text}, f"Change {number}", "Because.", {"By": "me"}, number, also
    )


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repo")
    made.create(change("main", 0))
    return made


def git(repository: Repository, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=repository.path, capture_output=True, text=True, check=True).stdout


def test_trunk_reads_as_a_record(repository: Repository) -> None:
    repository.commit(change("main", 1))
    repository.commit(change("main", 2))
    repository.show_trunk()
    assert repository.trunk_ids() == ["id0", "id1", "id2"]
    assert git(repository, "log", "--format=%s", "main").split("\n")[:3] == ["Change 2", "Change 1", "Change 0"]
    assert (repository.path / "knobs.yaml").read_text() == "value: 2  # ünïcode\n"
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "fsck", "--strict") == ""


def test_a_feature_branch_is_merged_with_two_parents(repository: Repository) -> None:
    repository.set_branch("team/a", "main")
    repository.commit(change("team/a", 1))
    repository.commit(change("main", 2))
    repository.commit(change("main", 3, also="team/a"))
    assert repository.trunk_ids() == ["id0", "id2", "id3"]
    assert repository.commit_ids() == ["id0", "id1", "id2", "id3"]
    assert len(git(repository, "rev-list", "--parents", "-1", "main").split()) == 3
    assert repository.read("team/a", "knobs.yaml").startswith("value: 1")


def test_the_same_changes_give_the_same_hashes(tmp_path: Path, repository: Repository) -> None:
    other = Repository(tmp_path / "other")
    other.create(change("main", 0))
    for made in (repository, other):
        made.commit(change("main", 1))
    assert git(repository, "rev-parse", "main") == git(other, "rev-parse", "main")


def test_creating_twice_changes_nothing(repository: Repository) -> None:
    before = git(repository, "rev-parse", "main")
    repository.create(change("main", 5))
    assert git(repository, "rev-parse", "main") == before


def test_git_s_refusal_is_a_clear_error(repository: Repository) -> None:
    with pytest.raises(RepositoryError, match="git show failed"):
        repository.read("nowhere", "knobs.yaml")


def test_a_process_that_died_before_the_first_commit_is_made_up_for(tmp_path: Path) -> None:
    place = tmp_path / "repo"
    place.mkdir()
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", "."], cwd=place, check=True)
    repository = Repository(place)
    repository.create(change("main", 0))
    repository.create(change("main", 0))
    assert repository.trunk_ids() == ["id0"]
