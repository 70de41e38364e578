"""``metaloop role new`` and ``metaloop role show``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metaloop.edges.commands.check import check_command
from metaloop.edges.commands.role import role_group
from metaloop.files.role_file import KINDS
from metaloop.vocabulary.errors import UsageError

ORG = """\
---
name: lab
description: d
members:
  - role: walker
    count: 2
    policy: {boldness: 0.7}
  - role: keeper
---
The charter.
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def role(*arguments: str) -> Result:
    return CliRunner().invoke(role_group, arguments)


def laboratory() -> None:
    assert role("new", "walker", "--kind", "proposer").exit_code == 0
    assert role("new", "keeper", "--kind", "merger").exit_code == 0
    Path("orgs/lab").mkdir(parents=True)
    Path("orgs/lab/ORG.md").write_text(ORG)


@pytest.mark.parametrize("kind", KINDS)
def test_new_writes_a_valid_role(kind: str):
    result = role("new", "my-role", "--kind", kind)
    assert result.exit_code == 0
    assert "metaloop check roles/my-role.md" in result.stdout
    assert CliRunner().invoke(check_command, ["roles/my-role.md"]).exit_code == 0


def test_new_never_overwrites():
    role("new", "my-role", "--kind", "merger")
    before = Path("roles/my-role.md").read_bytes()
    assert isinstance(role("new", "my-role", "--kind", "proposer").exception, UsageError)
    assert Path("roles/my-role.md").read_bytes() == before


@pytest.mark.parametrize("name", ["../out", "Big", "a b", "a--b", ""])
def test_new_takes_only_kebab_case(name: str):
    assert isinstance(role("new", name, "--kind", "merger").exception, UsageError)


def test_new_local_role_shadows():
    laboratory()
    assert role("new", "walker", "--kind", "proposer", "--local", "lab").exit_code == 0
    assert Path("orgs/lab/walker.md").is_file()
    assert "orgs/lab/walker.md" in role("show", "walker", "--org", "lab").stdout
    assert isinstance(role("new", "x", "--kind", "merger", "--local", "nowhere").exception, UsageError)


def test_show_tells_values_their_source_and_the_prompt():
    laboratory()
    shown = role("show", "walker", "--org", "orgs/lab")
    assert shown.exit_code == 0
    assert "As held by walker-1, walker-2" in shown.stdout
    assert any("boldness = 0.7" in line and "organization" in line for line in shown.stdout.splitlines())
    assert "The charter." in shown.stdout
    assert "`boldness` = 0.7" in shown.stdout


def test_show_by_path_and_as_json():
    laboratory()
    answer = json.loads(role("show", "roles/walker.md", "--json").stdout)
    (terms,) = answer["terms"]
    assert (answer["kind"], terms["policy"]["boldness"], terms["set_by"]["boldness"]) == ("proposer", 0.2, "default")
    assert {knob["name"] for knob in answer["knobs"]} < set(terms["policy"])


def test_show_names_the_nearest_role():
    laboratory()
    error = role("show", "waker").exception
    assert isinstance(error, UsageError)
    assert "did you mean 'walker'?" in str(error)
