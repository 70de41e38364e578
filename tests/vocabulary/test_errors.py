"""Errors that carry a message for a person."""

from __future__ import annotations

import pickle

import pytest

from metaloop.vocabulary.errors import FileError, JournalError, OrgFileError, RoleFileError


@pytest.mark.parametrize("kind", [FileError, RoleFileError, OrgFileError, JournalError])
@pytest.mark.parametrize("line", [7, None])
def test_an_error_comes_back_from_another_process_as_it_was(kind: type[FileError], line: int | None) -> None:
    error = kind("orgs/x/ORG.md", line, "count must be >= 1, got 0. Remove the member.")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.path, again.line, again.message) == (str(error), error.path, error.line, error.message)
