"""Members that are commands or people, through the command line: checked beforehand, simulated, and on Ray for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metaloop.actors.state import replay
from metaloop.brains.human.question import Question, ask
from metaloop.files import journal
from metaloop.vocabulary import events as ev
from tests.brains import worlds as w
from tests.brains.objective import member
from tests.edges.test_schemas import check

ROOT = Path(__file__).resolve().parents[2]
CODE = "from metaloop.edges.cli import main; main()"
STAND_IN = ("--model", "stand-in", "--models", str(ROOT / "orgs" / "autoresearch" / "models.yaml"))
PROSE = str(ROOT / "orgs" / "autoresearch")


def metaloop(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE, *arguments]
    given = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(command, cwd=cwd, env=given, capture_output=True, text=True, timeout=900, check=False)


def run(*arguments: str, cwd: Path) -> Any:
    done = metaloop("run", *arguments, "--no-mlflow", "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["organizations"][0]


CARDS = {
    "a missing command": ("command: [no-such-agent]", (), "'no-such-agent', which is not on the PATH"),
    "a missing variable": ('command: ["{python}"]\n    pass_variables: [NO_KEY_7]', (), "NO_KEY_7, which is not set"),
    "no account": ('command: ["{python}"]', ("--max-tokens", "9"), "does not tell what it used"),
    "no dollars": ('command: ["{python}"]', ("--max-usd", "9"), "does not tell what it used"),
    "a wrong card": ("command: [x]\n    timeout: 3", (), "models.yaml:4: unknown key"),
}


@pytest.mark.parametrize("name", CARDS)
def test_it_is_refused_before_anything_starts(tmp_path: Path, name: str) -> None:
    card, options, told = CARDS[name]
    (tmp_path / "models.yaml").write_text(f"agents:\n  a:\n    {card}\n")
    done = metaloop("run", PROSE, "--model", "a", "--models", "models.yaml", *options, "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_commands_work_in_simulated_time_and_repeat_byte_by_byte(tmp_path: Path) -> None:
    journals = []
    for out in ("out", "a-longer-name"):
        found = run(PROSE, *STAND_IN, "--backend", "sim", "--gpu-hours", "0.1", "--out", out, cwd=tmp_path)
        assert found["tokens"] > 0
        assert found["utilization"] < 0.9, "devices wait for whoever thinks"
        place = tmp_path / out / "autoresearch" / "seed-0"
        assert list(place.glob("transcripts/*/*.json"))
        assert not list(place.glob("worktrees/*"))
        journals.append((place / "journal.jsonl").read_bytes())
    assert journals[0] == journals[1]
    assert not [event for event in events_of(tmp_path / "out") if isinstance(event, ev.Refused)]


def events_of(out: Path) -> list[ev.Event]:
    return journal.read(next(out.rglob("journal.jsonl")))


def test_in_simulated_time_a_person_never_answers_and_the_organization_goes_on(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("human:\n  deadline_s: 5\n")
    who = ("--model", "human", "--models", "models.yaml")
    found = run(PROSE, *who, "--backend", "sim", "--gpu-hours", "0.02", "--out", "out", cwd=tmp_path)
    assert found["refusals"] > 0
    refused = [event for event in events_of(tmp_path / "out") if isinstance(event, ev.Refused)]
    assert {event.reason for event in refused} == {"no answer within 5 s"}
    assert not list((tmp_path / "out").rglob("questions"))
    check_answers(tmp_path)


def check_answers(place: Path) -> None:
    """The command line lists what is open, and takes a right answer once."""

    def answer(*words: str) -> subprocess.CompletedProcess[str]:
        return metaloop("answer", "out", *words, "--json", cwd=place)

    nothing = answer()
    check("answers-open", json.loads(nothing.stdout))
    assert json.loads(nothing.stdout) == {"open": []}
    asked = w.review({"lr": 0.3})
    eve = msgspec.structs.replace(member("reviewer", "eve"), brain="human")
    question = Question("eve-0-1a2b", eve, asked, w.SPACE.knobs, (), 60.0, ("approve", "reject"), "# Well?\n")
    ask(place / "out" / "lab" / "seed-0" / "questions", question)
    listed = json.loads(answer().stdout)
    check("answers-open", listed)
    assert [one["id"] for one in listed["open"]] == ["eve-0-1a2b"]
    assert 0 < listed["open"][0]["seconds_left"] <= 60
    for words, told in (
        (("eve-0-1a2c", "approve"), "no open question 'eve-0-1a2c' (did you mean 'eve-0-1a2b'?)"),
        (("eve-0-1a2b", "aprove"), "(did you mean 'approve'?)"),
        (("eve-0-1a2b",), "got nothing"),
        (("eve-0-1a2b", "approve"), "--reason is missing"),
    ):
        done = answer(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
    taken = answer("eve-0-1a2b", "approve", "--reason", "small")
    check("answer", json.loads(taken.stdout))
    assert "no open question" in answer("eve-0-1a2b", "reject", "--reason", "late").stderr


ORG = """---
name: with-eve
description: A scripted proposer and merger, and a person who reviews.
model: scripted
quorum: 1
members:
  - role: local-proposer
  - role: dedup-reviewer
    model: human
  - role: greedy-merger
---
# With Eve
"""


@pytest.mark.long
def test_a_person_answers_a_running_organization(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "roles", tmp_path / "roles")
    (tmp_path / "orgs" / "with-eve").mkdir(parents=True)
    (tmp_path / "orgs" / "with-eve" / "ORG.md").write_text(ORG)
    (tmp_path / "models.yaml").write_text("human:\n  deadline_s: 60\n")
    terms = ("--models", "models.yaml", "--trainer", "surrogate", "--gpu-hours", "0.01", "--devices", "1")
    command = [sys.executable, "-c", CODE, "run", "orgs/with-eve", *terms, "--no-mlflow", "--out", "out"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    answers: list[str] = []
    try:
        while running.poll() is None:
            answers += answer_one(tmp_path, "approve" if len(answers) % 2 else "reject")
            time.sleep(0.1)
    finally:
        running.kill()
    assert running.returncode == 0, running.stderr and running.stderr.read()
    votes = [event for event in events_of(tmp_path / "out") if isinstance(event, ev.Reviewed)]
    assert len(votes) >= 2
    assert {vote.approve for vote in votes} == {True, False}
    assert {vote.reason for vote in votes} == {"I looked at it"}
    state = replay(events_of(tmp_path / "out"))
    rejected = {vote.proposal for vote in votes if not vote.approve}
    assert not [e for e in state.experiments.values() if e.experiment.proposal in rejected]


def answer_one(place: Path, choice: str) -> list[str]:
    """List the open questions as JSON, and answer the first."""
    listed = metaloop("answer", "out", "--json", cwd=place)
    if listed.returncode:
        return []
    found = json.loads(listed.stdout)["open"]
    if not found:
        return []
    assert found[0]["choices"] == ["approve", "reject"]
    assert "## The proposal" in found[0]["text"]
    wrong = metaloop("answer", "out", found[0]["id"], "aprove", "--reason", "x", cwd=place)
    if "no open question" not in wrong.stderr:
        assert wrong.returncode == 2
        assert "(did you mean 'approve'?)" in wrong.stderr
    done = metaloop("answer", "out", found[0]["id"], choice, "--reason", "I looked at it", cwd=place)
    return [found[0]["id"]] if done.returncode == 0 else []


@pytest.mark.long
def test_the_prose_organization_edits_trains_and_merges_for_real(tmp_path: Path) -> None:
    size = ("--preset", "cpu-micro", "--gpu-hours", "0.02", "--devices", "1", "--confirm-pairs", "2")
    found = run(PROSE, *STAND_IN, *size, "--out", "out", cwd=tmp_path)
    place = tmp_path / "out" / "autoresearch" / "seed-0"
    events = events_of(tmp_path / "out")
    proposed = [event.proposal for event in events if isinstance(event, ev.Proposed)]
    merged = [event for event in events if isinstance(event, ev.Merged)]
    assert any(proposal.edits for proposal in proposed)
    assert any(proposal.changes for proposal in proposed)
    assert not [event for event in events if isinstance(event, ev.Refused)]
    assert found["merges"] == len(merged) > 0
    edited = [event for event in merged if any(name.startswith("file:") for name in event.config)]
    assert edited, "no edit of the code was merged"
    log = subprocess.check_output(["git", "log", "--numstat", "--format=%s", "main"], cwd=place / "repo", text=True)
    assert "nanogpt/model.py" in log
    assert not list(place.glob("worktrees/*"))
    assert list((place / "repo" / ".git" / "worktrees").glob("*")) == []
