"""The shipped roles and organizations, and the documentation of their formats."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from metaloop.files.format_tables import tables, with_tables
from metaloop.files.markdown import read
from metaloop.files.org_file import check_focus, load_organization, read_organization, write_whole
from metaloop.files.role_file import effective_policy, load_role, parse_role, render_prompt
from nanogpt.knobs import GROUPS

ROOT = Path(__file__).parents[2]
ROLES = sorted((ROOT / "roles").glob("*.md"))
ORGS = sorted(path.parent for path in (ROOT / "orgs").rglob("ORG.md"))
CONTROLS = {"no-op", "random-search", "solo-greedy", "tpe"}
NAMES = CONTROLS | {
    "autoresearch",
    "bold-startup",
    "careful-lab",
    "daily-standup",
    "scout-and-climb",
    "scout-and-refine",
    "specialists",
}


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.stem)
def test_shipped_role(path: Path):
    role = load_role(path)
    assert role.document.encode() == path.read_bytes()
    assert "## What you hand over" in role.prose
    assert "bits per byte (bpb)" in role.prose
    assert "lower" in role.prose.lower()
    assert role.prose.strip() in render_prompt(role, effective_policy(role))


@pytest.mark.parametrize("path", ROLES, ids=lambda path: path.stem)
def test_shipped_role_is_a_subagent(path: Path):
    """The rules of the Claude Code subagent format: front matter with name and description, tools with commas."""
    _, front, body = path.read_text().split("---\n", 2)
    fields = yaml.safe_load(front)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", fields["name"])
    assert isinstance(fields["description"], str)
    assert set(fields["tools"].split(", ")) <= {"Read", "Grep", "Edit", "Bash"}
    assert set(fields) <= {"name", "description", "tools", "model", "org"}
    assert body.strip()


def test_the_examples_differ_in_their_prose_alone():
    careful, bold = (load_organization(ROOT / "docs" / "examples" / name) for name in ("prose-careful", "prose-bold"))
    for ours, theirs in zip(careful.members, bold.members, strict=True):
        assert (ours.kind, ours.policy, ours.brain) == (theirs.kind, theirs.policy, "scripted")
        assert ours.prompt != theirs.prompt


def test_the_promised_organizations_are_there():
    assert {path.name for path in ORGS if path.parent.name == "orgs"} == NAMES
    assert {path.name for path in ORGS if path.parent.name == "evolved"} == {"focused-scout"}
    assert {path.name for path in ORGS if load_organization(path).control} == CONTROLS


@pytest.mark.parametrize("path", ORGS, ids=lambda path: path.name)
def test_shipped_organization(path: Path, tmp_path: Path):
    org = read_organization(path)
    organization = org.to_organization()
    assert organization.charter
    assert all(member.brain == "scripted" for member in organization.members)
    check_focus(organization, GROUPS, org)
    assert write_whole(path, tmp_path / path.name).to_organization().members == organization.members


def test_the_library_covers_every_strategy():
    used = {(role.kind, role.policy.get("strategy")) for role in map(load_role, ROLES)}
    for strategy in ("random", "local", "tpe", "ablation", "combine", "explore", "ideas", "bayes"):
        assert ("proposer", strategy) in used
    for strategy in ("greedy", "test", "batch", "never"):
        assert ("merger", strategy) in used


def test_the_documented_tables_are_current():
    text = (ROOT / "docs" / "formats.md").read_text()
    assert with_tables(text) == text, "run: python -m metaloop.files.format_tables docs/formats.md"
    assert all(f"<!-- table: {name} -->" in text for name in tables())


def test_the_documented_examples_are_valid(tmp_path: Path):
    text = (ROOT / "docs" / "formats.md").read_text()
    role, org = re.findall(r"```markdown\n(.*?)```", text, re.DOTALL)
    (tmp_path / "careful-proposer.md").write_text(role)
    parse_role(read(tmp_path / "careful-proposer.md"))
    (tmp_path / "night-shift").mkdir()
    (tmp_path / "night-shift" / "ORG.md").write_text(org)
    assert len(load_organization(tmp_path / "night-shift", ROOT / "roles").members) == 5
