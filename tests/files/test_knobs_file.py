"""knobs.yaml: what is written is read back, and what an agent may write wrongly is told by line."""

from __future__ import annotations

import pytest

from metaloop.files.knobs_file import knobs_file, read_knobs
from metaloop.vocabulary.errors import FileError
from tests.brains import worlds as w

TEXT = knobs_file(w.SPACE, {"lr": 0.5, "act": "swiglu", "tied": False})


def test_what_is_written_is_read() -> None:
    assert read_knobs(TEXT, w.SPACE) == {**w.DEFAULTS, "lr": 0.5, "act": "swiglu", "tied": False}


def test_a_whole_number_is_a_float_where_the_knob_is() -> None:
    found = read_knobs(TEXT.replace("lr: 0.5", "lr: 1"), w.SPACE)["lr"]
    assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize(
    ("old", "new", "line", "told"),
    [
        ("lr: 0.5", "lr: 2.0", 4, "lr must lie in [0.0001, 1.0], got 2.0"),
        ("lr: 0.5", "lr: fast", 4, "lr must be a number"),
        ("lr: 0.5", "", 5, "lr is missing"),
        ("lr: 0.5", "lr: 0.5\nlr: 0.6", 5, "duplicate key 'lr'"),
        ("lr: 0.5", "lrr: 0.5", 4, "unknown key 'lrr' (did you mean 'lr'?)"),
        ("depth: 4", "depth: 4.5", 8, "must be a whole number"),
        ("tied: false", "tied: 0", 10, "must be true or false"),
        ('"swiglu"', "swiglue", 11, "(did you mean 'swiglu'?)"),
        ("lr: 0.5", "lr: &a 0.5", 4, "knobs.yaml:4"),
    ],
)
def test_faults_are_told_by_line(old: str, new: str, line: int, told: str) -> None:
    assert old in TEXT
    with pytest.raises(FileError) as caught:
        read_knobs(TEXT.replace(old, new), w.SPACE)
    assert told in str(caught.value)
    assert caught.value.line == line
