"""``metaloop check`` as a person meets it: one line for each fault, exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metaloop.edges.commands.check import check_command
from metaloop.vocabulary.errors import UsageError

ROOT = Path(__file__).parents[2]
ROLE = "---\nname: walker\ndescription: d\norg:\n  kind: proposer\n  policy:\n    boldness: 0.2\n---\n"
KEEPER = "---\nname: keeper\ndescription: d\norg:\n  kind: merger\n---\n"
ORG = "---\nname: lab\ndescription: d\nquorum: 0\nmembers:\n  - role: walker\n    count: 1\n  - role: keeper\n---\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roles").mkdir()
    (tmp_path / "orgs" / "lab").mkdir(parents=True)
    (tmp_path / "roles" / "walker.md").write_text(ROLE)
    (tmp_path / "roles" / "keeper.md").write_text(KEEPER)
    (tmp_path / "orgs" / "lab" / "ORG.md").write_text(ORG)
    return tmp_path


def check(*arguments: str) -> Result:
    return CliRunner().invoke(check_command, arguments)


def test_good_files_are_listed():
    result = check()
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "ok  orgs/lab  2 members: 1 proposer, 1 merger",
        "ok  roles/keeper.md  merger",
        "ok  roles/walker.md  proposer",
    ]


@pytest.mark.parametrize("path", ["roles/walker.md", "orgs/lab", "orgs/lab/ORG.md", "orgs", "roles", "."])
def test_any_kind_of_path(path: str):
    result = check(path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "ok  " in result.stdout


ROLE_PATH, ORG_PATH = "roles/walker.md", "orgs/lab/ORG.md"


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        (ROLE_PATH, "0.2", "3", ":7: policy.boldness must lie in [0.01, 1.0], got 3. Choose a value inside."),
        (ROLE_PATH, "boldness", "boldnes", ":7: unknown key 'policy.boldnes' (did you mean 'boldness'?). Known here: "),
        (
            ROLE_PATH,
            "0.2",
            "[0.2",
            ":7: YAML syntax error: a bracket or quote that opens here is never closed. Close it.",
        ),
        (ROLE_PATH, "  kind: proposer\n", "", ":4: kind is missing, expected a value. Add the line 'kind: ...'."),
        (
            ROLE_PATH,
            "proposer",
            "scot",
            ":5: kind must be one of proposer, reviewer, merger, director, scout, got 'scot'",
        ),
        (ROLE_PATH, "name: walker", "name: runner", ":2: name must equal the file's name 'walker', got 'runner'. "),
        (ROLE_PATH, "---\nname", "name", ":1: no front matter, expected '---' on the first line. "),
        (ROLE_PATH, "\n---\n", "\n", ":1: front matter is not closed, expected a second line '---'. "),
        (ROLE_PATH, "  policy", "\tpolicy", ":6: found a tab, YAML indents with spaces only. Replace it with spaces."),
        (ROLE_PATH, "description: d", "name: walker", ":3: duplicate key 'name', expected each key once. "),
        (
            ROLE_PATH,
            "description: d",
            "description: a: b",
            ":3: YAML syntax error: mapping values are not allowed here. ",
        ),
        (
            ORG_PATH,
            "count: 1",
            "count: 0",
            ":7: members[0].count must be >= 1, got 0. Remove the member or set a count.",
        ),
        (
            ORG_PATH,
            "role: walker",
            "role: waker",
            ":6: members[0].role 'waker' is no role file in orgs/lab or roles (did ",
        ),
        (
            ORG_PATH,
            "quorum: 0",
            "quorum: 1",
            ":4: quorum must be at most the number of reviewers (0), got 1. Lower it ",
        ),
        (ORG_PATH, "  - role: keeper\n", "", ":5: members hold no merger, expected at least one. "),
        (ORG_PATH, "quorum", "qourum", ":4: unknown key 'qourum' (did you mean 'quorum'?). "),
        (ORG_PATH, "name: lab", "name: [lab]", ":2: name must be text, got ['lab']. "),
    ],
)
def test_broken_files_get_one_line_and_exit_code_2(path: str, old: str, new: str, expected: str):
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new, 1))
    result = check()
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{path}{expected}")


def test_organizations_one_folder_further_down_are_checked_too(home: Path):
    (home / "orgs" / "evolved" / "child").mkdir(parents=True)
    (home / "orgs" / "evolved" / "child" / "ORG.md").write_text(ORG.replace("name: lab", "name: child"))
    (home / "orgs" / "evolved" / "child" / "EVIDENCE.md").write_text("# no role\n")
    result = CliRunner().invoke(check_command, [])
    assert result.exit_code == 0, result.output
    assert [line.split()[1] for line in result.stdout.splitlines()][:2] == ["orgs/evolved/child", "orgs/lab"]


def test_bytes_that_are_no_text():
    Path(ROLE_PATH).write_bytes(b"---\nname: walk\xe9r\n---\n")
    assert check(ROLE_PATH).stderr == f"{ROLE_PATH}:2: found byte 0xe9, expected UTF-8. Save it as UTF-8.\n"
    Path(ROLE_PATH).write_bytes(b"\xef\xbb\xbf" + ROLE.encode())
    assert check(ROLE_PATH).stderr.startswith(f"{ROLE_PATH}:1: starts with a byte order mark")


def test_all_faults_of_all_files_are_told_once():
    Path(ROLE_PATH).write_text(ROLE.replace("0.2", "7") + "")
    Path("roles/keeper.md").write_text(KEEPER.replace("merger", "mergr"))
    result = check()
    assert len(result.stderr.splitlines()) == 2
    assert result.stdout == ""


def test_folders_that_hold_nothing_are_told():
    Path("orgs/broken").mkdir()
    Path("orgs/broken/org.md").write_text(ORG)
    assert "orgs/broken: holds no ORG.md" in check().stderr
    assert check("nowhere").stderr.startswith("nowhere: no such file.")


def test_nothing_to_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert isinstance(check().exception, UsageError)


def test_json_is_one_object_on_standard_output():
    Path(ROLE_PATH).write_text(ROLE.replace("0.2", "7"))
    result = check("--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["ok"]) == (2, False)
    by_path = {checked["path"]: checked for checked in answer["checked"]}
    assert by_path["roles/keeper.md"]["ok"]
    assert by_path[ROLE_PATH]["errors"][0]["line"] == 7


def test_local_roles_that_no_member_uses_are_checked_too():
    Path("orgs/lab/spare.md").write_text(KEEPER)
    assert check("orgs/lab").stderr.startswith("orgs/lab/spare.md:2: name must equal")


def test_nothing_heavy_is_imported():
    heavy = "{'torch', 'ray', 'mlflow', 'optuna', 'matplotlib', 'scipy', 'numpy', 'rich'}"
    code = f"import sys, metaloop.edges.commands.check, metaloop.edges.commands.role; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
