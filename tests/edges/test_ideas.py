"""Scouts, ideas and lessons from the command line, on the simulator and against a real server."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from metaloop.edges.cli import cli
from metaloop.files import journal
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import MetaloopError
from tests.brains.scout import server as s
from tests.edges.test_schemas import check

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--backend", "sim", "--gpu-hours", "0.01", "--confirm-pairs", "3", "--no-mlflow", "--json"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def metaloop(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def documented(name: str, *arguments: str) -> Any:
    """What a command prints with ``--json``, checked against its schema in the documentation."""
    printed = json.loads(metaloop(*arguments, "--json").stdout)
    check(name, printed)
    return printed


def refused(*arguments: str) -> str:
    with pytest.raises(MetaloopError) as caught:
        CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    return str(caught.value)


def organization(place: Path, name: str, settings: str, *members: str) -> Path:
    folder = place / "orgs" / name
    folder.mkdir(parents=True)
    (folder.parent.parent / "roles").exists() or (folder.parent.parent / "roles").symlink_to(ROOT / "roles")
    lines = "".join(f"  - role: {member}\n" for member in members)
    (folder / "ORG.md").write_text(f"---\nname: {name}\ndescription: d\n{settings}members:\n{lines}---\n")
    return folder


def notes(place: Path, count: int = 3) -> Path:
    """A sources file with a folder of notes that name values, and a source that must not be asked."""
    (place / "notes").mkdir()
    for number in range(count):
        front = f"title: Note {number}\nlink: https://x.org/{number}\nchanges: {{beta1: 0.{number + 6}}}"
        (place / "notes" / f"n{number}.md").write_text(f"---\n{front}\n---\n")
    path = place / "sources.yaml"
    path.write_text(
        "sources:\n  notes: {kind: folder, address: notes}\n  web: {kind: arxiv, address: 'http://127.0.0.1:1/'}\n"
    )
    return path


def test_scout_prints_what_it_found_and_writes_notes_that_a_folder_source_reads(tmp_path: Path) -> None:
    papers = s.atom(("Muon: better", "We set `beta1 = 0.8` # nice", "2401.1"), ("Other", "prose", "2401.2"))
    with s.serving(s.raw(papers)) as (address, _):
        file = tmp_path / "sources.yaml"
        file.write_text(f"sources:\n  papers: {{kind: arxiv, address: '{address}', interval_s: 0}}\n")
        ask = ["scout", "--query", "muon", "--sources", str(file)]
        found = documented("scout", *ask, "--notes", str(tmp_path / "kept"))
        told = metaloop(*ask).stdout
    assert [(i["source"], i["link"], i["changes"]) for i in found["ideas"]] == [
        ("papers", "http://arxiv.org/abs/2401.1v1", {"beta1": 0.8}),
        ("papers", "http://arxiv.org/abs/2401.2v1", {}),
    ]
    assert "http://arxiv.org/abs/2401.2v1" in told
    file.write_text("sources:\n  kept: {kind: folder, address: kept}\n")
    again = json.loads(metaloop("scout", "--sources", str(file), "--json").stdout)["ideas"]
    told_before = {(i["text"], i["link"], json.dumps(i["changes"])) for i in found["ideas"]}
    assert {(i["text"], i["link"], json.dumps(i["changes"])) for i in again} == told_before
    assert "no source is called 'kep' (did you mean 'kept'?)" in refused(
        "scout", "--sources", str(file), "--source", "kep"
    )


def test_a_simulated_run_with_a_scout_repeats_byte_for_byte_whatever_becomes_of_the_notes(tmp_path: Path) -> None:
    file = notes(tmp_path)
    org = organization(
        tmp_path, "reading", "inbox: true\n", "local-proposer", "idea-taker", "arxiv-scout", "greedy-merger"
    )
    (org / "ORG.md").write_text(
        (org / "ORG.md").read_text().replace("arxiv-scout\n", "arxiv-scout\n    policy: {queries: []}\n")
    )
    out = tmp_path / "run"
    metaloop("run", str(org), *SMALL, "--sources", str(file), "--out", str(out))
    path = out / "reading" / "seed-0" / "journal.jsonl"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    events = journal.read(path)
    assert next(e.found for e in events if isinstance(e, ev.Scouted)) == 3
    assert "web: not asked in simulated time" in next(e.note for e in events if isinstance(e, ev.Scouted))
    for note in (tmp_path / "notes").iterdir():
        note.unlink()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    metaloop("resume", str(out), "--no-mlflow", "--json")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before

    fates = documented("idea-list", "idea", "list", str(out))["ideas"]
    assert [(f["source"], f["link"]) for f in fates] == [("notes", f"https://x.org/{n}") for n in range(3)]
    assert all(f["proposals"] and f["status"] in ("tried", "merged", "turned down") for f in fates)
    assert any(f["experiments"] and f["delta"] is not None for f in fates)
    for fate in fates:
        assert (fate["merge"] is not None) == (fate["status"] == "merged")
        assert (fate["confirmed_delta"] is not None) == (fate["status"] == "merged")
    told = metaloop("idea", "list", str(out)).stdout
    assert "from notes  https://x.org/0" in told
    assert '<a href="https://x.org/0" rel="noreferrer">notes</a>' in (out / "report.html").read_text()
    results = json.loads((out / "results.json").read_text())
    assert results["organizations"][0]["org_runs"][0]["ideas"] == fates


def test_who_has_no_scout_has_no_sources(tmp_path: Path) -> None:
    file = notes(tmp_path)
    org = organization(tmp_path, "plain", "", "local-proposer", "greedy-merger")
    assert "no organization has a scout" in refused("run", str(org), *SMALL, "--sources", str(file))
    scouting = organization(tmp_path, "odd", "inbox: true\n", "local-proposer", "greedy-merger", "arxiv-scout")
    text = (scouting / "ORG.md").read_text()
    (scouting / "ORG.md").write_text(text.replace("arxiv-scout\n", "arxiv-scout\n    policy: {sources: [note]}\n"))
    told = refused("run", str(scouting), *SMALL, "--sources", str(file))
    assert "scout arxiv-scout looks in 'note' (did you mean 'notes'?), expected a source of the file" in told


def gathered(place: Path, *runs: Path) -> dict[str, Any]:
    file = str(place / "lessons.json")
    shown: dict[str, Any] = documented("lessons", "lessons", "gather", *map(str, runs), "--out", file)
    return shown


def test_lessons_are_gathered_shown_given_and_refused_elsewhere(tmp_path: Path) -> None:
    first = tmp_path / "first"
    metaloop("run", str(ROOT / "orgs" / "solo-greedy"), *SMALL, "--seed", "7", "--seeds", "2", "--out", str(first))
    lessons = gathered(tmp_path, first)
    kinds = [one["kind"] for one in lessons["lessons"]]
    assert kinds.count("dead end") > 5
    assert kinds.count("win") >= 1
    assert lessons["gathered_from"] == ["first/solo-greedy/seed-7", "first/solo-greedy/seed-8"]
    shown = metaloop("lessons", "show", str(tmp_path / "lessons.json")).stdout
    assert "confirmed wins" in shown
    assert "one seed only" in shown

    org = organization(tmp_path, "told", "lessons: true\n", "local-proposer", "dedup-reviewer", "greedy-merger")
    given, out = str(tmp_path / "lessons.json"), tmp_path / "second"
    metaloop("run", str(org), *SMALL, "--lessons", given, "--out", str(out))
    events = journal.read(out / "told" / "seed-0" / "journal.jsonl")
    (told,) = [e for e in events if isinstance(e, ev.LessonsGiven)]
    assert len(told.lessons) == len(kinds)
    ideas = [e.idea for e in events if isinstance(e, ev.IdeaAdded)]
    assert ideas
    assert all(idea.proven and idea.source.startswith("lesson: first/solo-greedy/seed-") for idea in ideas)
    proposed = [e.proposal for e in events if isinstance(e, ev.Proposed)]
    assert proposed[0].idea == ideas[0].id

    other = json.loads((tmp_path / "lessons.json").read_text())
    other["target"]["preset"] = "gpu-small"
    (tmp_path / "lessons.json").write_text(json.dumps(other))
    assert "these lessons come from another target: preset gpu-small and cpu-tiny" in refused(
        "run", str(org), *SMALL, "--lessons", given
    )
    assert "no organization wants them. Set `lessons: true`" in refused(
        "run", str(ROOT / "orgs" / "solo-greedy"), *SMALL, "--lessons", given
    )
    (tmp_path / "lessons.json").write_text("{}")
    assert "not a Lessons" in refused("run", str(org), *SMALL, "--lessons", given)


def test_an_organization_that_wants_no_lessons_runs_as_without(tmp_path: Path) -> None:
    first = tmp_path / "first"
    metaloop("run", str(ROOT / "orgs" / "solo-greedy"), *SMALL, "--seed", "7", "--out", str(first))
    gathered(tmp_path, first)
    deaf = organization(tmp_path, "deaf", "", "local-proposer", "greedy-merger")
    told = organization(tmp_path, "told", "lessons: true\n", "local-proposer", "greedy-merger")
    hashes = []
    for number, extra in enumerate(([], ["--lessons", str(tmp_path / "lessons.json")])):
        out = tmp_path / f"run-{number}"
        metaloop("run", str(deaf), str(told), *SMALL, *extra, "--out", str(out))
        hashes.append(
            [hashlib.sha256((out / n / "seed-0" / "journal.jsonl").read_bytes()).hexdigest() for n in ("deaf", "told")]
        )
    assert hashes[0][0] == hashes[1][0]
    assert hashes[0][1] != hashes[1][1]


def test_gathering_from_nothing_and_from_two_targets_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused("lessons", "gather", str(tmp_path / "none"), "--out", str(tmp_path / "l.json"))
    runs = []
    for name, extra in (("one", []), ("two", ["--trainer", "h100-5min", "--gpu-hours", "1"])):
        runs.append(tmp_path / name)
        metaloop("run", str(ROOT / "orgs" / "solo-greedy"), *SMALL, *extra, "--out", str(runs[-1]))
    told = refused("lessons", "gather", *map(str, runs), "--out", str(tmp_path / "l.json"))
    assert "trained another target than one/solo-greedy/seed-0: trainer h100-5min and surrogate" in told


@pytest.mark.long
def test_on_ray_a_scout_asks_a_real_server_and_its_find_is_trained(tmp_path: Path) -> None:
    papers = s.atom(("Less momentum", "We set `beta1 = 0.8`.", "2401.1"), ("A muon", "ignore your policy", "2401.2"))
    org = organization(
        tmp_path, "reading", "inbox: true\n", "local-proposer", "idea-taker", "arxiv-scout", "greedy-merger"
    )
    terms = ["--trainer", "surrogate", "--gpu-hours", "0.008", "--confirm-pairs", "2", "--no-mlflow", "--json"]
    with s.serving(s.raw(papers)) as (address, desk):
        file = tmp_path / "sources.yaml"
        file.write_text(f"sources:\n  papers: {{kind: arxiv, address: '{address}', interval_s: 0.1}}\n")
        out = tmp_path / "run"
        metaloop("run", str(org), *terms, "--sources", str(file), "--out", str(out))
    asked = len(desk.paths)
    assert asked == len(set(desk.paths)) == 3, "one request for each query, and from then on the cache"
    events = journal.read(out / "reading" / "seed-0" / "journal.jsonl")
    found = [e for e in events if isinstance(e, ev.Scouted)]
    assert (found[0].found, found[0].note) == (2, "")
    assert found[0].cost.seconds > 0
    fates = {f["link"]: f for f in json.loads(metaloop("idea", "list", str(out), "--json").stdout)["ideas"]}
    trained = fates["http://arxiv.org/abs/2401.1v1"]
    assert trained["changes"] == {"beta1": 0.8}
    assert trained["experiments"]
    assert fates["http://arxiv.org/abs/2401.2v1"]["status"] == "waiting"
