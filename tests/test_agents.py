"""What coding agents read: the commands it names exist, and role files are subagents as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from metaloop.edges.cli import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
SKILL = ROOT / ".claude" / "skills" / "metaloop" / "SKILL.md"
READ = (ROOT / "AGENTS.md", SKILL)
OWN = [path for home in ("orgs", "docs/examples") for path in (ROOT / home).rglob("*.md")]
ROLES = [
    *sorted((ROOT / "roles").glob("*.md")),
    *sorted(path for path in OWN if path.name not in ("ORG.md", "EVIDENCE.md", "README.md")),
]
"""The library's, and those that organizations have of their own."""


def front_matter(path: Path) -> dict[str, object]:
    """As agents read it: YAML between the first two lines of three dashes."""
    _, head, body = path.read_text().split("---\n", 2)
    assert body.strip()
    found = yaml.safe_load(head)
    assert isinstance(found, dict)
    return found


def test_the_skill_says_what_it_is_for() -> None:
    found = front_matter(SKILL)
    assert found["name"] == SKILL.parent.name
    description = str(found["description"])
    assert "Use when" in description
    assert len(description) <= 1024


@pytest.mark.parametrize("path", ROLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_role_is_a_subagent(path: Path) -> None:
    """Claude Code's rules (https://code.claude.com/docs/en/sub-agents): name and description are required, the name is
    lower-case with hyphens, tools are names with commas between, a model is a word."""
    found = front_matter(path)
    assert found["name"] == path.stem
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", path.stem)
    assert isinstance(found["description"], str)
    assert all(re.fullmatch(r"[A-Z]\w*", tool.strip()) for tool in str(found.get("tools", "Read")).split(","))
    assert isinstance(found.get("model", "inherit"), str)


@pytest.mark.parametrize("path", READ, ids=lambda path: path.name)
def test_commands_and_options_exist(path: Path) -> None:
    lines = [line.split("#")[0] for line in re.findall(r"\.venv/bin/metaloop (.*)", path.read_text())]
    context = cli.make_context("metaloop", [], resilient_parsing=True)
    for line in lines:
        name, *words = line.split()
        assert name in COMMANDS
        command = cli.get_command(context, name)
        assert command is not None
        group = getattr(command, "commands", {})
        command = group[words[0]] if words and words[0] in group else command
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("path", READ, ids=lambda path: path.name)
def test_files_that_are_named_are_there(path: Path) -> None:
    named = re.findall(r"`((?:tests|metaloop|docs|roles|orgs)/[\w/.-]+)`|\b(docs/\w+\.md)", path.read_text())
    for one in (first or second for first, second in named):
        assert (ROOT / one).exists() or "NAME" in one, one
