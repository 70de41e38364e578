"""``metaloop run --model``: members that think over a real server, simulated and on Ray with real trainings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metaloop.brains.model.transcript import Exchange
from metaloop.files import journal
from metaloop.files.org_file import read_organization
from metaloop.vocabulary import events as ev
from tests.brains.model.guesser import guesses
from tests.brains.model.server import Desk, fails, serving

ROOT = Path(__file__).resolve().parents[2]
CODE = "from metaloop.edges.cli import main; main()"
KEY = "sk-secret-0123456789"
MODELS = "models:\n  guess: {usd_per_million_prompt: 2.0, usd_per_million_reply: 8.0, timeout_s: 20, attempts: 1}\n"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[dict[str, str], Desk]]:
    (tmp_path / "models.yaml").write_text(MODELS)
    with serving(guesses) as (url, desk):
        yield {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY}, desk


def metaloop(*arguments: str, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE, *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=400, check=False)


def run(*arguments: str, cwd: Path, env: dict[str, str]) -> Any:
    organization = str(ROOT / "orgs" / "solo-greedy")
    done = metaloop("run", organization, *arguments, "--no-mlflow", "--json", "--out", "out", cwd=cwd, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["organizations"][0]


THINKING = ("--model", "guess", "--models", "models.yaml")
SIMULATED = (*THINKING, "--backend", "sim")


def exchanges(out: Path) -> list[Exchange]:
    return [msgspec.json.decode(path.read_bytes(), type=Exchange) for path in sorted(out.rglob("transcripts/*/*.json"))]


def check_accounts(place: Path, found: Any, requests: int) -> None:
    """Journal, transcripts and results tell the same, and nobody wrote the key down."""
    kept = exchanges(place / "out")
    assert sum(len(each.answers) for each in kept) == requests > 0
    tokens = sum(a.prompt_tokens + a.reply_tokens for each in kept for a in each.answers)
    assert found["tokens"] + found["tokens_unaccounted"] == tokens
    assert found["tokens_unaccounted"] <= 0.2 * tokens, "only what was thought about at the end"
    assert found["usd"] + found["usd_unaccounted"] == pytest.approx(sum(each.usd for each in kept))
    events = journal.read(next((place / "out").rglob("journal.jsonl")))
    refused = [event for event in events if isinstance(event, ev.Refused)]
    assert found["refusals"] == len(refused) == sum(bool(each.complaints[-1]) for each in kept)
    written = [path for path in place.rglob("*") if path.is_file() and path.name != "models.yaml"]
    assert not [path for path in written if KEY.encode() in path.read_bytes()]


def test_a_simulated_run_is_thought_through_and_paid(tmp_path: Path, served: tuple[dict[str, str], Desk]) -> None:
    env, desk = served
    found = run(*SIMULATED, cwd=tmp_path, env=env)
    check_accounts(tmp_path, found, len(desk.requests))
    assert read_organization(tmp_path / "out" / "orgs" / "solo-greedy").model == "guess"
    assert found["utilization"] < 0.9, "devices wait for whoever thinks"


def test_what_was_thought_is_not_paid_twice(tmp_path: Path, served: tuple[dict[str, str], Desk]) -> None:
    env, desk = served
    found, asked = run(*SIMULATED, cwd=tmp_path, env=env), len(desk.requests)
    place = next((tmp_path / "out").rglob("journal.jsonl"))
    before = place.read_bytes()
    place.write_bytes(before[: len(before) // 2])
    again = metaloop("resume", "out", "--no-mlflow", "--json", cwd=tmp_path, env=env)
    assert again.returncode == 0, again.stderr
    assert place.read_bytes() == before
    assert json.loads(again.stdout)["organizations"][0]["tokens"] == found["tokens"]
    assert len(desk.requests) == asked


def test_a_run_ends_when_its_tokens_are_spent(tmp_path: Path, served: tuple[dict[str, str], Desk]) -> None:
    env, _ = served
    found = run(*SIMULATED, "--max-tokens", "1000", cwd=tmp_path, env=env)
    assert 1000 <= found["tokens"] <= 2500
    assert found["gpu_hours"] < 0.02
    (end,) = [e for e in journal.read(next((tmp_path / "out").rglob("journal.jsonl"))) if isinstance(e, ev.RunEnded)]
    assert "thinking" in end.reason


def test_a_dead_server_ends_in_refusals_and_not_in_a_crash(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(MODELS)
    with serving(fails(503)) as (url, _):
        env = {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY}
        found = run(*SIMULATED, cwd=tmp_path, env=env)
    assert found["refusals"] > 0
    assert (found["tokens"], found["merges"], found["gain_bpb"]) == (0, 0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "gess", "--models", "models.yaml"), "'gess' (did you mean 'guess'?)"),
        (("--model", "guess"), "--models"),
        (("--models", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_an_unknown_model_is_refused_before_anything_starts(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "models.yaml").write_text(MODELS)
    organization = str(ROOT / "orgs" / "solo-greedy")
    done = metaloop("run", organization, *arguments, "--out", "out", cwd=tmp_path, env=dict(os.environ))
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_once_everything_is_spent_no_org_run_is_begun(tmp_path: Path, served: tuple[dict[str, str], Desk]) -> None:
    env, _ = served
    thinker = run(*SIMULATED, "--seeds", "3", "--max-total-tokens", "1000", cwd=tmp_path, env=env)
    assert len(thinker["org_runs"]) == 1
    scripted = (*SIMULATED[2:], "--max-total-tokens", "1")
    organization = str(ROOT / "orgs" / "solo-greedy")
    done = metaloop("run", organization, *scripted, "--no-mlflow", "--json", "--out", "free", cwd=tmp_path, env=env)
    assert json.loads(done.stdout)["organizations"][0]["gpu_hours"] > 0.02, "who does not think is not stopped"


def test_dollars_without_prices_are_refused(tmp_path: Path, served: tuple[dict[str, str], Desk]) -> None:
    env, _ = served
    (tmp_path / "models.yaml").write_text("models:\n  guess:\n")
    organization = str(ROOT / "orgs" / "solo-greedy")
    done = metaloop("run", organization, *SIMULATED, "--max-usd", "1", "--out", "out", cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert "usd_per_million_prompt" in done.stderr


@pytest.mark.slow
def test_on_ray_members_think_while_trainings_run(tmp_path: Path, served: tuple[dict[str, str], Desk]) -> None:
    env, desk = served
    sizes = ("--preset", "cpu-micro", "--gpu-hours", "0.004", "--devices", "2", "--confirm-pairs", "2")
    found = run(*THINKING, *sizes, cwd=tmp_path, env=env)
    check_accounts(tmp_path, found, len(desk.requests))
    assert found["experiments"] >= 3
