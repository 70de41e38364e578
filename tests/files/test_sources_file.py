"""Sources files: what they hold, and how their faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloop.files.sources_file import SHIPPED, numbers, read_sources
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.sources import Source


def written(place: Path, text: str) -> Path:
    path = place / "sources.yaml"
    path.write_text(text)
    return path


def test_the_shipped_file_names_the_real_addresses_and_keeps_their_terms() -> None:
    arxiv, github = read_sources(SHIPPED)
    assert (arxiv.kind, arxiv.address) == ("arxiv", "https://export.arxiv.org/api/query")
    assert arxiv.interval_s >= 3.0
    assert (github.kind, github.key_variable) == ("github", "GITHUB_TOKEN")
    assert github.interval_s >= 6.0


def test_what_is_given_is_taken_and_a_folder_counts_from_the_file(tmp_path: Path) -> None:
    text = (
        "sources:\n  f: {kind: feed, address: 'http://x.org/a.xml', most: 5}\n  n: {kind: folder, address: ./notes}\n"
    )
    feed, notes = read_sources(written(tmp_path, text))
    assert feed == Source("f", "feed", "http://x.org/a.xml", most=5)
    assert notes.address == str(tmp_path / "notes")


def test_every_number_has_bounds_and_a_meaning() -> None:
    assert set(numbers()) == {"interval_s", "cache_s", "timeout_s", "attempts", "most"}
    for knob in numbers().values():
        assert float(knob.low or 0) <= float(knob.default) <= float(knob.high or 0)
        assert knob.meaning.endswith(".")


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("  a: {kind: arxiv}\n", 2, "sources.a.address is missing"),
        ("  a:\n    kind: arxive\n    address: http://x/\n", 3, "got 'arxive' (did you mean 'arxiv'?)"),
        ("  a:\n    kind: arxiv\n    address: x.org/q\n", 4, "must start with http:// or https://, got 'x.org/q'"),
        ("  a:\n    kind: feed\n    address: file:///etc/passwd\n", 4, "must start with http:// or https://"),
        ("  a:\n    kind: feed\n    address: http://u:p@x/\n", 4, "must hold no user or password"),
        ("  a:\n    kind: feed\n    address: 'http://[x'\n", 4, "must start with http:// or https://"),
        (
            "  a:\n    kind: feed\n    address: http://x/\n    most: 0\n",
            5,
            "sources.a.most must lie in [1, 100], got 0",
        ),
        ("  a:\n    kind: feed\n    address: http://x/\n    token: t\n", 5, "unknown key 'sources.a.token'"),
        ("  ../a:\n    kind: feed\n    address: http://x/\n", 2, "name must be letters, digits"),
        ("  a: 3\n", 2, "must hold 'key: value' lines"),
    ],
)
def test_faults_name_line_and_mending(tmp_path: Path, text: str, line: int, told: str) -> None:
    with pytest.raises(FileError) as caught:
        read_sources(written(tmp_path, f"sources:\n{text}"))
    assert caught.value.line == line
    assert told in str(caught.value)
