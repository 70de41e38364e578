"""Role files: what is read, what is refused and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloop.files.markdown_edit import set_value
from metaloop.files.policies import POLICIES
from metaloop.files.role_file import KINDS, effective_policy, load_role, parse_role, render_prompt, role_faults
from metaloop.files.role_template import new_role
from metaloop.vocabulary.errors import RoleFileError

ROLE = """\
---
name: bold
description: Leaps.
tools: Read, Edit
model: inherit
color: red
org:
  kind: proposer
  policy:
    boldness: 1   # all the way
    changes_per_proposal: 3
    focus: [optimizer, schedule]
---
# Bold

Leap.
"""


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "bold.md") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def test_reads_a_role():
    role = load_role(write(ROLE))
    assert (role.name, role.kind, role.model, role.tools) == ("bold", "proposer", "inherit", ("Read", "Edit"))
    assert role.policy == {"boldness": 1.0, "changes_per_proposal": 3, "focus": ("optimizer", "schedule")}
    assert isinstance(role.policy["boldness"], float)
    assert role.prose == "# Bold\n\nLeap.\n"


def test_effective_policy_and_prompt():
    role = load_role(write(ROLE))
    policy = effective_policy(role, {"boldness": 0.5})
    assert (policy["boldness"], policy["changes_per_proposal"], policy["memory"]) == (0.5, 3, 50)
    prompt = render_prompt(role, policy, "We leap.")
    assert "We leap." in prompt
    assert "Leap.\n" in prompt
    assert "- `boldness` = 0.5 (0.01 to 1). Step size" in prompt
    assert "`focus` = [optimizer, schedule]" in prompt
    assert all(f"`{knob.name}`" in prompt for knob in POLICIES["proposer"])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("boldness: 1 ", "boldness: 3 ", "10: policy.boldness must lie in [0.01, 1.0], got 3. Choose a value inside."),
        ("boldness: 1 ", "boldness: big ", "10: policy.boldness must be a number, got 'big'. Write it without quotes."),
        ("boldness: 1 ", "boldness: 1e999 ", "10: policy.boldness must lie in [0.01, 1.0], got inf."),
        ("boldness: 1 ", "boldness: true ", "10: policy.boldness must be a number, got true."),
        ("boldness: 1 ", "boldness: ", "10: policy.boldness must be a number, got nothing."),
        ("boldness:", "boldnes:", "10: unknown key 'policy.boldnes' (did you mean 'boldness'?). Known here: strategy,"),
        ("boldness: 1 ", "alpha: 0.1 ", "10: policy.alpha is a knob of a merger, expected one of a proposer."),
        ("proposal: 3", "proposal: 2.5", "11: policy.changes_per_proposal must be a whole number, got 2.5. Round it."),
        ("boldness: 1 ", "strategy: locl ", "got 'locl' (did you mean 'local'?). Choose one of them."),
        (
            "[optimizer, schedule]",
            "optimizer",
            "12: policy.focus must be a list of names, got 'optimizer'. Write it as",
        ),
        ("[optimizer, schedule]", "[a, a]", "12: policy.focus names 'a' twice, expected each name once. Remove one."),
        (
            "kind: proposer",
            "kind: propser",
            "8: kind must be one of proposer, reviewer, merger, director, scout, got 'propser'",
        ),
        ("kind: proposer", "kind: scout", "10: policy.boldness is a knob of a proposer, expected one of a scout."),
        ("  kind: proposer\n", "", "7: kind is missing, expected a value. Add the line 'kind: ...'."),
        ("name: bold", "name: Bold One", "2: name must be lower-case words joined by '-', got 'Bold One'. Rename it."),
        ("name: bold", "name: timid", "2: name must equal the file's name 'bold', got 'timid'. Rename one of them."),
        ("name: bold\n", "", "2: name is missing, expected a value."),
        ("description: Leaps.", "description: ''", "3: description must be text, got ''."),
        ("description: Leaps.\n", "", "2: description is missing"),
        ("tools: Read, Edit", "tool: Read", "4: unknown key 'tool' (did you mean 'tools'?). Known here: name,"),
        ("tools: Read, Edit", "tools: 3", "4: tools must be names with commas between, got 3."),
        ("model: inherit", "model: 4", "5: model must be text, got 4."),
        ("  policy:", "  polcy:", "9: unknown key 'polcy' (did you mean 'policy'?). Known here: kind, policy."),
        ("org:", "orgs:", "7: unknown key 'orgs' (did you mean 'org'?)"),
    ],
)
def test_faults_say_where_what_and_how_to_mend(old: str, new: str, expected: str):
    assert old in ROLE
    faults = [str(fault) for fault in role_faults(write(ROLE.replace(old, new)))]
    assert any(expected in fault for fault in faults), faults
    assert all(fault.startswith("bold.md:") for fault in faults)


def test_every_fault_of_a_file_is_found_in_order():
    text = ROLE.replace("boldness: 1 ", "boldness: 9 ").replace("proposal: 3", "proposal: 99").replace("color", "colr")
    assert [fault.line for fault in role_faults(write(text))] == [6, 10, 11]
    with pytest.raises(RoleFileError, match=r"^bold\.md:6: "):
        load_role(Path("bold.md"))


def test_a_mutated_role_is_checked_again():
    role = load_role(write(ROLE))
    assert parse_role(set_value(role.document, ("org", "policy", "boldness"), 0.3)).policy["boldness"] == 0.3
    with pytest.raises(RoleFileError, match="must lie in"):
        parse_role(set_value(role.document, ("org", "policy", "boldness"), 7))


@pytest.mark.parametrize("kind", KINDS)
def test_the_template_is_a_valid_role_that_sets_nothing(kind):
    text = new_role("fresh-one", kind)
    role = load_role(write(text, "fresh-one.md"))
    assert (role.kind, role.policy) == (kind, {})
    uncommented = text.replace("    # ", "    ").replace("    -", "    #").replace("      ", "    # ")
    role = load_role(write(uncommented, "fresh-one.md"))
    assert effective_policy(role) == effective_policy(load_role(write(text, "fresh-one.md")))
    assert set(role.policy) == set(effective_policy(role))
