"""Organization folders: members, cross-checks, shadowing, and writing whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloop.files.markdown_edit import insert, set_value
from metaloop.files.org_file import (
    ORG_SPACE,
    check_focus,
    keys_of,
    load_organization,
    organization_faults,
    parse_organization,
    read_organization,
    write_files,
    write_whole,
)
from metaloop.files.org_reader import organizations_at
from metaloop.vocabulary.errors import FileError, OrgFileError

ORG = """\
---
name: lab
description: A laboratory.
sharing: all
quorum: 1
cadence:
  standup_every: 10
members:
  - role: walker
    count: 2
    policy: {boldness: 0.5}
  - role: walker
    team: red
    model: human
  - role: judge
  - role: keeper
    links: [walker-1, judge]
  - role: chair
---
Be careful.
"""
KINDS = {"walker": "proposer", "judge": "reviewer", "keeper": "merger", "chair": "director"}


def role_text(name: str, kind: str, extra: str = "") -> str:
    return f"---\nname: {name}\ndescription: d\norg:\n  kind: {kind}\n{extra}---\nProse of {name}.\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roles").mkdir()
    (tmp_path / "orgs" / "lab").mkdir(parents=True)
    for name, kind in KINDS.items():
        (tmp_path / "roles" / f"{name}.md").write_text(role_text(name, kind))
    return tmp_path


def write(text: str = ORG) -> Path:
    folder = Path("orgs/lab")
    (folder / "ORG.md").write_text(text)
    return folder


def test_members_expand_to_unique_names_with_their_terms():
    organization = load_organization(write())
    assert [member.name for member in organization.members] == [
        "walker-1", "walker-2", "walker-3", "judge", "keeper", "chair",
    ]  # fmt: skip
    first, _, third = organization.of_kind("proposer")
    assert (first.policy["boldness"], third.policy["boldness"]) == (0.5, 0.2)
    assert (first.brain, third.brain, third.team) == ("scripted", "human", "red")
    assert "Be careful." in first.prompt
    assert "Prose of walker." in first.prompt
    assert organization.cadence.standup_every == 10
    assert (organization.quorum, organization.control, organization.inbox) == (1, False, False)
    assert load_organization(Path("orgs/lab/ORG.md")) == organization


def test_a_local_role_shadows_the_librarys():
    before = load_organization(write())
    Path("orgs/lab/walker.md").write_text(role_text("walker", "proposer", "  policy:\n    memory: 7\n"))
    after = load_organization(Path("orgs/lab"))
    assert after.members[0].policy["memory"] == 7
    assert after.digest != before.digest


def test_the_digest_does_not_know_where_files_lie_but_every_text():
    first = load_organization(write())
    whole = write_whole(Path("orgs/lab"), Path("elsewhere/lab"))
    assert whole.digest == first.digest
    assert load_organization(write(ORG.replace("careful", "quick"))).digest != first.digest


def test_writing_whole_reproduces_the_organization_without_the_library():
    before = load_organization(write(ORG.replace("\n", "\r\n")))
    write_whole(Path("orgs/lab"), Path("out/orgs/lab"))
    for path in Path("roles").glob("*.md"):
        path.unlink()
    assert load_organization(Path("out/orgs/lab")) == before
    assert Path("out/orgs/lab/ORG.md").read_bytes() == Path("orgs/lab/ORG.md").read_bytes()
    assert sorted(path.name for path in Path("out/orgs").iterdir()) == ["lab"]


def test_writing_under_another_name_changes_only_the_name():
    write()
    copy = write_whole(Path("orgs/lab"), Path("orgs/lab-2"))
    assert copy.document.text == ORG.replace("name: lab", "name: lab-2")
    assert copy.to_organization().members == load_organization(Path("orgs/lab")).members
    with pytest.raises(OrgFileError, match=r"^orgs/lab-2: cannot be written"):
        write_whole(Path("orgs/lab"), Path("orgs/lab-2"))
    assert not [path for path in Path("orgs").iterdir() if path.name.startswith(".")]


def test_every_setting_can_be_mutated_by_its_name():
    org = read_organization(write())
    document = org.document
    for knob in ORG_SPACE:
        document = set_value(document, keys_of(knob), knob.default)
    document = set_value(document, ("members", 0, "count"), 5)
    document = insert(document, ("members", 5), {"role": "walker", "policy": {"memory": 1}})
    mutated = parse_organization(document, Path("roles"))
    assert mutated.to_organization().cadence.standup_every == 0
    assert len(mutated.to_organization().of_kind("proposer")) == 7
    assert write_files(mutated, Path("orgs/lab-3")).to_organization().members == mutated.to_organization().members


def test_a_mutated_role_counts_before_its_file():
    org = read_organization(write())
    edited = set_value(org.roles["walker"].document, ("org", "policy", "memory"), 3)
    mutated = parse_organization(org.document, Path("roles"), {"walker": edited})
    assert mutated.to_organization().members[0].policy["memory"] == 3


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("count: 2", "count: 0", "ORG.md:10: members[0].count must be >= 1, got 0. Remove the member or set a count."),
        ("count: 2", "count: 65", "ORG.md:10: members[0].count must lie in [1, 64], got 65."),
        (
            "role: judge",
            "role: jugde",
            "ORG.md:15: members[2].role 'jugde' is no role file in orgs/lab or roles (did you",
        ),
        ("boldness: 0.5", "boldness: 5", "ORG.md:11: members[0].policy.boldness must lie in [0.01, 1.0], got 5."),
        ("boldness: 0.5", "alpha: 0.5", "ORG.md:11: members[0].policy.alpha is a knob of a merger"),
        ("links: [walker-1, judge]", "links: [walkr]", "ORG.md:17: members[3].links names 'walkr', no role or member"),
        ("team: red", "team: Red", "ORG.md:13: members[1].team must be lower-case words"),
        ("    team: red", "    taem: red", "ORG.md:13: unknown key 'members[1].taem' (did you mean 'team'?)"),
        ("quorum: 1", "quorum: 2", "ORG.md:5: quorum must be at most the number of reviewers (1), got 2."),
        ("quorum: 1", "quorum: 10", "ORG.md:5: quorum must lie in [0, 9], got 10."),
        (
            "sharing: all",
            "sharing: everyone",
            "ORG.md:4: sharing must be one of own, team, all, standup, got 'everyone'",
        ),
        ("  - role: chair\n", "", "ORG.md:7: cadence.standup_every is set, but no director holds stand-ups."),
        ("sharing: all", "branching: teams\ninbox: yes", "ORG.md:5: inbox must be true or false, got 'yes'."),
        ("standup_every: 10", "standup_evry: 10", "ORG.md:7: unknown key 'cadence.standup_evry' (did you mean"),
        ("standup_every: 10", "standup_every: -1", "ORG.md:7: cadence.standup_every must lie in [0, 1000], got -1."),
        ("name: lab", "name: labs", "ORG.md:2: name must equal the folder's name 'lab', got 'labs'."),
        ("description: A laboratory.\n", "", "ORG.md:2: description is missing"),
        ("quorum: 1", "qorum: 1", "ORG.md:5: unknown key 'qorum' (did you mean 'quorum'?)"),
        ("quorum: 1", "model: inherit", "ORG.md:5: model must name a brain, got 'inherit'"),
        (
            "  - role: keeper\n    links: [walker-1, judge]\n",
            "",
            "ORG.md:8: members hold no merger, expected at least one.",
        ),
        ("  - role: chair\n", "  - role: chair\n    count: 2\n", "ORG.md:8: members hold 2 directors"),
        ("  - role: judge", "  - judge", "ORG.md:15: members[2] must hold 'key: value' lines, got 'judge'."),
        ("  - role: judge", "  - count: 1", "ORG.md:15: members[2].role is missing"),
    ],
)
def test_faults_say_where_what_and_how_to_mend(old: str, new: str, expected: str):
    assert old in ORG
    faults = [str(fault) for fault in organization_faults(write(ORG.replace(old, new)))]
    assert any(expected in fault for fault in faults), faults
    with pytest.raises(OrgFileError):
        load_organization(Path("orgs/lab"))


def test_team_and_standup_sharing_need_teams_and_standups():
    text = ORG.replace("    team: red\n", "").replace("  standup_every: 10", "  lookahead: 1")
    for setting, message in (
        ("sharing: team", "sharing: team needs teams"),
        ("sharing: standup", "sharing: standup needs stand-ups, got none"),
        ("sharing: all\nbranching: teams", "branching: teams needs teams"),
    ):
        with pytest.raises(OrgFileError, match=message):
            load_organization(write(text.replace("sharing: all", setting)))


def test_members_must_be_there():
    for members in ("members: []", "members: walker", "members:"):
        with pytest.raises(OrgFileError, match=r"orgs/lab/ORG\.md:4: members must be a list"):
            load_organization(write(f"---\nname: lab\ndescription: d\n{members}\n---\n"))


def test_a_broken_role_is_told_once_with_its_own_line():
    Path("roles/walker.md").write_text(role_text("walker", "proposer", "  policy: {boldness: 7}\n"))
    faults = [str(fault) for fault in organization_faults(write())]
    assert faults == ["roles/walker.md:6: policy.boldness must lie in [0.01, 1.0], got 7. Choose a value inside."]


def test_two_members_may_not_share_a_name():
    Path("roles/walker-1.md").write_text(role_text("walker-1", "reviewer"))
    with pytest.raises(OrgFileError, match=r"ORG\.md:8: two members would be called 'walker-1'"):
        load_organization(write(ORG.replace("role: judge", "role: walker-1").replace(", judge", "")))


def test_a_missing_organization_is_told():
    with pytest.raises(OrgFileError, match=r"^orgs/lab: holds no ORG\.md"):
        load_organization(Path("orgs/lab"))
    with pytest.raises(OrgFileError, match=r"^orgs/no/ORG\.md: no such file"):
        load_organization(Path("orgs/no"))


def test_focus_is_checked_against_the_target():
    folder = write(ORG.replace("boldness: 0.5", "focus: [optimiser]"))
    org = read_organization(folder)
    with pytest.raises(
        OrgFileError, match=r"ORG\.md:11: focus of walker-1 names 'optimiser'.*did you mean 'optimizer'"
    ):
        check_focus(org.to_organization(), ("optimizer", "batch"), org)
    with pytest.raises(OrgFileError, match="names 'optimiser'"):
        check_focus(org.to_organization(), ("optimizer", "batch"))
    check_focus(org.to_organization(), ("optimiser",), org)


def test_focus_of_a_role_file_points_there():
    Path("roles/walker.md").write_text(role_text("walker", "proposer", "  policy:\n    focus: [x]\n"))
    org = read_organization(write())
    with pytest.raises(FileError, match=r"^roles/walker\.md:7: "):
        check_focus(org.to_organization(), ("optimizer",), org)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("lab", ["lab"]),
        ("lab/ORG.md", ["lab"]),
        (".", ["lab", "other"]),
        ("evolved", ["evolved/child"]),
        ("empty", ["empty"]),
        ("nowhere", ["nowhere"]),
    ],
)
def test_a_path_stands_for_the_organizations_in_it(path: str, found: list[str], tmp_path: Path) -> None:
    for name in ("lab", "other", "evolved/child"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "ORG.md").touch()
    (tmp_path / "empty").mkdir()
    assert organizations_at(tmp_path / path) == [tmp_path / name for name in found]


SCOUTED = """---
name: lab
description: Looks outside.
model: some-model
inbox: true
members:
  - role: walker
  - role: keeper
  - role: looker
---
"""


def test_a_scout_needs_the_inbox_and_no_model():
    write()
    Path("roles/looker.md").write_text("---\nname: looker\ndescription: Looks.\norg:\n  kind: scout\n---\n")
    organization = load_organization(write(SCOUTED))
    assert [m.brain for m in organization.members] == ["some-model", "some-model", "scripted"]
    assert organization.of_kind("scout")[0].policy["queries"] == ()
    for text, told in (
        (
            SCOUTED.replace("inbox: true\n", ""),
            "inbox is false, but a scout fills the research queue. Set inbox: true.",
        ),
        (SCOUTED.replace("looker\n", "looker\n    model: m\n"), "members[2] is a scout with model 'm', expected"),
    ):
        assert told in str(organization_faults(write(text))[0])
