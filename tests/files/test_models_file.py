"""Models files: what they hold, and how their faults are told."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from metaloop.files.models_file import SHIPPED, numbers, read_models, read_thinkers
from metaloop.vocabulary.agents import AgentCard, HumanTerms, fill
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


AGENTS = """agents:
  coder:
    command: ["{python}", "{here}/agent.py", --print, "{prompt}"]
    pass_variables: [MY_KEY]
    usage: file
    timeout_s: 30
human:
  deadline_s: 5
"""


def test_agents_and_people_are_read(tmp_path: Path) -> None:
    found = read_thinkers(written(tmp_path, AGENTS))
    (coder,) = found.agents
    assert coder.command == ("{python}", f"{tmp_path.resolve()}/agent.py", "--print", "{prompt}")
    assert (coder.pass_variables, coder.usage, coder.timeout_s, coder.processes) == (("MY_KEY",), "file", 30, 256)
    assert found.human.deadline_s == 5
    assert found.names == ("coder", "human")


def test_a_placeholder_s_value_is_left_alone() -> None:
    assert fill('{prompt} {x} {"a": 1} {member}', {"prompt": "{member}", "member": "ann"}) == (
        '{member} {x} {"a": 1} ann'
    )


@pytest.mark.parametrize("kind", [AgentCard, HumanTerms])
def test_every_number_of_an_agent_has_bounds_and_a_meaning(kind: type) -> None:
    assert numbers(kind)
    for knob in numbers(kind).values():
        assert (knob.low or 0) <= float(knob.default) <= (knob.high or 0)
        assert knob.meaning.endswith(".")


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("agents:\n  a:\n    timeout_s: 3\n", 2, "command is missing"),
        ("agents:\n  a:\n    command: claude -p\n", 3, "command must be a list of texts"),
        ("agents:\n  a:\n    command: []\n", 3, "command must be a list of texts"),
        ('agents:\n  a:\n    command: [x, "{promt}"]\n', 3, "holds {promt} (did you mean 'prompt'?)"),
        ("agents:\n  a:\n    command: [x]\n    usage: maybe\n", 4, "usage must be one of none, claude, file"),
        ("agents:\n  a:\n    command: [x]\n    memory: 3\n", 4, "unknown key 'agents.a.memory'"),
        ("agents:\n  human:\n    command: [x]\n", 2, "'human' is no name for a card"),
        ("models:\n  a:\nagents:\n  a:\n    command: [x]\n", 4, "'a' is a model too"),
        ("human:\n  deadline_s: 0\n", 2, "must lie in [0.1, 604800]"),
    ],
)
def test_faults_of_agents_name_line_and_mending(tmp_path: Path, text: str, line: int, told: str) -> None:
    with pytest.raises(FileError) as caught:
        read_thinkers(written(tmp_path, text))
    assert caught.value.line == line
    assert told in str(caught.value)


def test_the_documented_cards_are_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "agents.md").read_text()
    (example,) = re.findall(r"```yaml\n(agents:.*?)```", text, re.DOTALL)
    found = read_thinkers(written(tmp_path, example))
    assert [card.name for card in found.agents] == ["claude", "codex", "opencode", "aider", "mine"]
    table = re.findall(r"^\| `(\w+)`(?:, `(\w+)`)? \|", text, re.MULTILINE)
    assert {name for row in table for name in row if name} == {
        field.name for field in msgspec.structs.fields(AgentCard) if field.name != "name"
    }
