"""Models files: what they hold, and how their faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloop.files.models_file import SHIPPED, numbers, read_models
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.models import ModelCard


def written(place: Path, text: str) -> Path:
    path = place / "models.yaml"
    path.write_text(text)
    return path


def test_the_shipped_file_is_read() -> None:
    assert [card.name for card in read_models(SHIPPED)] == ["smollm2-135m"]


def test_what_is_given_is_taken_and_the_rest_is_the_default(tmp_path: Path) -> None:
    text = "models:\n  big/one-2:\n    base_url: http://x/v1\n    usd_per_million_reply: 4\n  small:\n"
    big, small = read_models(written(tmp_path, text))
    assert big == ModelCard("big/one-2", base_url="http://x/v1", usd_per_million_reply=4)
    assert small == ModelCard("small")
    assert big.usd(1_000_000, 500_000) == 2.0


def test_every_number_has_bounds_and_a_meaning() -> None:
    for knob in numbers().values():
        assert knob.low is not None
        assert knob.high is not None
        assert knob.low <= float(knob.default) <= knob.high
        assert knob.meaning.endswith(".")


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("models:\n  m:\n    timeout: 3\n", 3, "unknown key 'models.m.timeout' (did you mean 'timeout_s'?)"),
        ("models:\n  m:\n    timeout_s: 0\n", 3, "must lie in [0.1, 3600], got 0"),
        ("models:\n  m:\n    attempts: 1.5\n", 3, "must be a whole number"),
        ("models:\n  m:\n    reply_format: yaml\n", 3, "must be one of schema, json, text, got 'yaml'"),
        ("models:\n  m:\n    base_url: 7\n", 3, "must be text, got 7"),
        ("models:\n  m:\n    base_url: http://me:pw@host/v1\n", 3, "must hold no user, password or key"),
        ("models: [m]\n", 1, "must hold 'key: value' lines"),
        ("models:\n  m: cheap\n", 2, "must hold 'key: value' lines"),
        ("modells:\n  m:\n", 1, "unknown key 'modells'"),
        ("models:\n\tm:\n", 2, "tab"),
    ],
)
def test_faults_name_line_and_mending(tmp_path: Path, text: str, line: int, told: str) -> None:
    with pytest.raises(FileError) as caught:
        read_models(written(tmp_path, text))
    assert caught.value.line == line
    assert told in str(caught.value)
