"""What commands say they used: Claude Code's result, a file, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaloop.brains.agent.usage import Told, Usage, told
from tests.brains.agent.harness import card

CLAUDE = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "Done.",
    "total_cost_usd": 0.0421,
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 1000,
        "cache_read_input_tokens": 3000,
        "output_tokens": 345,
    },
}


def read(usage: str, out: str = "", file: str | None = None, place: Path = Path("/nonexistent")) -> Told:
    if file is not None:
        (place / "usage.json").write_text(file)
    return told(card("", usage=usage), "x" * 300, out, place / "usage.json")


@pytest.mark.parametrize(
    "out", [json.dumps(CLAUDE), "a warning\n" + json.dumps(CLAUDE) + "\n", '{"type":"system"}\n' + json.dumps(CLAUDE)]
)
def test_claude_code_s_result_is_read(out: str) -> None:
    assert read("claude", out) == Told("Done.", Usage(4012, 345, 0.0421))


def test_claude_code_s_failure_is_told() -> None:
    failed = {**CLAUDE, "is_error": True, "result": "API Error: 529"}
    assert read("claude", json.dumps(failed)).problem == "it says that it failed: API Error: 529"


def test_a_usage_file_is_read(tmp_path: Path) -> None:
    assert read("file", "out", '{"input_tokens": 7, "output_tokens": 8, "usd": 0.5}', tmp_path).usage == Usage(
        7, 8, 0.5
    )
    assert read("file", "out", '{"input_tokens": 7}', tmp_path).usage == Usage(7, 0, None)


@pytest.mark.parametrize("file", ["", "{", '{"input_tokens": -1}', '{"usd": 1e9}', '{"output_tokens": 1e30}', "[]"])
def test_what_is_not_told_is_estimated(file: str, tmp_path: Path) -> None:
    assert read("file", "y" * 30, file, tmp_path).usage == Usage(101, 11, None)
    assert read("claude", "y" * 30).usage == Usage(101, 11, None)


def test_who_tells_nothing_is_charged_nothing() -> None:
    assert read("none", "y" * 30).usage == Usage(0, 0, None)
    assert card("", usd_per_million_prompt=2.0, usd_per_million_reply=8.0).usd(1_000_000, 500_000) == 6.0
