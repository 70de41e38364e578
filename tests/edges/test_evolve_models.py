"""``metaloop evolve --model --rewriter``: organizations that think, and prose that is rewritten, over a real server."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metaloop.brains.model.transcript import Exchange
from metaloop.edges.tracking.evolution import evolution_images
from metaloop.files.run_folder import read_lines
from metaloop.meta.evolution.terms import Measured
from metaloop.meta.mutations.recorded import rewritings
from tests.brains.model.guesser import guesses
from tests.brains.model.server import Desk, Handler, says, serving

ROOT = Path(__file__).resolve().parents[2]
CODE = "from metaloop.edges.cli import main; main()"
MODELS = "models:\n  guess: {usd_per_million_prompt: 2.0, usd_per_million_reply: 8.0, timeout_s: 20, attempts: 1}\n"
SIZES = [
    "--generations",
    "1",
    "--population",
    "3",
    "--opening-blocks",
    "2",
    "--inner-blocks",
    "12",
    "--final-seeds",
    "2",
]
SIZES += [
    "--unseen-seeds",
    "2",
    "--short-seeds",
    "0",
    "--long-seeds",
    "0",
    "--gpu-hours",
    "0.003",
    "--confirm-pairs",
    "2",
]
THINKING = ["--model", "guess", "--models", "models.yaml", "--rewriter", "guess", "--max-tokens", "1500"]
EVOLVE = ["evolve", str(ROOT / "docs/examples/prose-bold"), "--control", str(ROOT / "orgs/random-search"), *SIZES]
EVOLVE += [*THINKING, "--backend", "sim", "--processes", "2", "--seed", "3", "--no-mlflow", "--json"]
ADDED = "Look at the numbers before the words."


def answers(handler: Handler) -> None:
    """Decides as the guesser does; asked to rewrite prose, adds a sentence to one of its numbered lines."""
    request = handler.desk.requests[-1]
    if "edits" not in request["response_format"]["json_schema"]["schema"]["properties"]:
        guesses(handler)
        return
    prose = request["messages"][1]["content"].split("Its description:\n\n")[1].split("\n\nExamples:")[0]
    lines = [line for line in prose.splitlines() if line[:2] in ("1.", "2.", "3.") and ADDED not in line]
    line = random.Random(prose).choice(lines)
    says({"edits": [{"find": line, "replace": f"{line} {ADDED}"}]}, 900, 60)(handler)


@pytest.fixture(scope="module")
def desk_and_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], Desk]]:
    place = tmp_path_factory.mktemp("evolve-models")
    (place / "models.yaml").write_text(MODELS)
    with serving(answers) as (url, desk):
        yield place, {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-secret"}, desk


def start(*arguments: str, cwd: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CODE, *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def metaloop(*arguments: str, cwd: Path, env: dict[str, str]) -> Any:
    process = start(*arguments, cwd=cwd, env=env)
    out, err = process.communicate(timeout=550)
    assert process.returncode == 0, err
    return json.loads(out)


@pytest.fixture(scope="module")
def whole(desk_and_place: tuple[Path, dict[str, str], Desk]) -> tuple[Path, Any, int]:
    """An evolution that went through, and how many requests it made."""
    place, env, desk = desk_and_place
    before = len(desk.requests)
    results = metaloop(*EVOLVE, "--out", "whole", cwd=place, env=env)
    return place / "whole", results, len(desk.requests) - before


def exchanges(out: Path) -> list[Exchange]:
    return [msgspec.json.decode(path.read_bytes(), type=Exchange) for path in out.rglob("transcripts/*/*.json")]


@pytest.mark.long
class TestWhole:
    def test_prose_is_rewritten_and_raced(self, whole: tuple[Path, Any, int]) -> None:
        out, results, _ = whole
        born = [child for child in results["lineage"] if "rewrite prose" in child["operator"]]
        assert born, "among three children of an organization that models read, some prose is rewritten"
        raced = {each.name for each in read_lines(out / "measured.jsonl", Measured)}
        assert {child["name"] for child in born} <= raced
        for child in born:
            texts = [path.read_text() for path in (out / "children" / child["name"]).glob("*.md")]
            assert any(ADDED in text for text in texts)
            assert child["cost"]["tokens"] >= 960

    def test_everything_that_was_charged_is_in_the_ledger(self, whole: tuple[Path, Any, int]) -> None:
        out, results, requests = whole
        kept, asked = exchanges(out), rewritings(out / "rewritings")
        assert sum(len(each.answers) for each in kept) + len(asked) == requests
        thinking = results["thinking"]
        tokens = sum(a.prompt_tokens + a.reply_tokens for each in kept for a in each.answers)
        assert sum(stage[0] for stage in thinking["stages"].values()) == tokens
        assert sum(stage[1] for stage in thinking["stages"].values()) == pytest.approx(sum(each.usd for each in kept))
        assert thinking["rewriting"] == [960 * len(asked), pytest.approx(len(asked) * (900 * 2 + 60 * 8) / 1e6)]
        assert (thinking["rewritings"], thinking["usable"]) == (len(asked), sum(not each.refusal for each in asked))
        assert thinking["usable"] > 0
        assert "for thinking until here" in (out / "evolved" / "evolved" / "EVIDENCE.md").read_text()

    def test_controls_that_do_not_think_stay_as_they_are(self, whole: tuple[Path, Any, int]) -> None:
        out, _, _ = whole
        measured = read_lines(out / "measured.jsonl", Measured)
        assert {each.tokens for each in measured if each.name == "random-search"} == {0}
        assert all(each.tokens > 0 for each in measured if each.name == "prose-bold")

    def test_the_diff_of_prose_is_shown(self, whole: tuple[Path, Any, int]) -> None:
        out, results, _ = whole
        images = {image.key: image for image in evolution_images(out)}
        child = next(child for child in results["lineage"] if "rewrite prose" in child["operator"])
        diff = images[child["name"]].texts["diff-to-parent.patch"]
        assert any(line.startswith("+") and ADDED in line for line in diff.splitlines())
        assert images["meta"].series["tokens"][0].value == pytest.approx(
            sum(stage[0] for stage in results["thinking"]["stages"].values()) + results["thinking"]["rewriting"][0],
            rel=1e-5,
        )

    def test_run_again_it_asks_nobody(self, whole: tuple[Path, Any, int], desk_and_place: Any) -> None:
        _, results, _ = whole
        place, env, desk = desk_and_place
        before = len(desk.requests)
        again = metaloop("resume", "whole", "--no-mlflow", "--json", cwd=place, env=env)
        assert again == results
        assert len(desk.requests) == before


@pytest.mark.long
def test_killed_and_taken_up_it_ends_the_same_and_pays_once(
    whole: tuple[Path, Any, int], desk_and_place: tuple[Path, dict[str, str], Desk]
) -> None:
    """At most the question that each thread was asking when it was killed is asked again."""
    _, results, requests = whole
    place, env, desk = desk_and_place
    before, kills = len(desk.requests), 0
    process = start(*EVOLVE, "--out", "killed", cwd=place, env=env)
    for share in (0.3, 0.6):
        while process.poll() is None and len(desk.requests) - before < share * requests:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        process = start("resume", "killed", "--no-mlflow", "--json", cwd=place, env=env)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    again = json.loads(out)
    assert requests <= len(desk.requests) - before <= requests + 2 * kills
    for part in ("races", "scores", "winner", "thinking"):
        assert again[part] == results[part]
    assert [_timeless(child) for child in again["lineage"]] == [_timeless(child) for child in results["lineage"]]


def _timeless(born: dict[str, Any]) -> dict[str, Any]:
    return {**born, "cost": {**born["cost"], "seconds": 0}}


@pytest.mark.long
def test_a_total_holds_over_everything(desk_and_place: tuple[Path, dict[str, str], Desk]) -> None:
    place, env, _ = desk_and_place
    results = metaloop(*EVOLVE, "--max-total-tokens", "20000", "--out", "limited", cwd=place, env=env)
    tokens = sum(stage[0] for stage in results["thinking"]["stages"].values()) + results["thinking"]["rewriting"][0]
    assert results["ran_out"]
    assert 20_000 <= tokens <= 20_000 + 1500, "what was asked is paid, so that the last answers may pass it"
    kept = sum(a.prompt_tokens + a.reply_tokens for each in exchanges(place / "limited") for a in each.answers)
    assert tokens == kept + results["thinking"]["rewriting"][0]


@pytest.mark.long
def test_real_stages_are_thought_through_and_paid(desk_and_place: tuple[Path, dict[str, str], Desk]) -> None:
    """The confirmation, on Ray with real trainings; its answers cost the same ledger."""
    place, env, _ = desk_and_place
    sizes = [
        "--generations",
        "0",
        "--opening-blocks",
        "2",
        "--final-seeds",
        "2",
        "--unseen-seeds",
        "2",
        "--short-seeds",
        "0",
    ]
    sizes += [
        "--long-seeds",
        "0",
        "--gpu-hours",
        "0.002",
        "--preset",
        "cpu-micro",
        "--confirm-pairs",
        "2",
        "--devices",
        "1",
    ]
    thinking = ["--model", "guess", "--models", "models.yaml", "--max-tokens", "1500", "--max-total-tokens", "40000"]
    command = [*EVOLVE[:4], *sizes, *thinking, "--no-mlflow", "--json", "--out", "real"]
    results = metaloop(*command, cwd=place, env=env)
    measured = [each for each in read_lines(place / "real" / "measured.jsonl", Measured) if each.real]
    paid = {stage: sum(m.tokens for m in measured if m.stage == stage) for stage in ("confirmation", "half")}
    assert paid["confirmation"] > 0, "with half of the GPU-hours there may be no time for an answer"
    assert {stage: results["thinking"]["stages"].get(stage, [0])[0] for stage in paid} == paid
    assert not results["ran_out"]
    assert results["gpu_hours"] > 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "guess", "--rewriter", "gess"), "(did you mean 'guess'?)"),
        (("--rewriter", "guess"), "no model reads any"),
        (("--model", "prose-bald=guess"), "prose-bold"),
        (("--model", "guess", "--max-total-tokens", "1"), "before the opening was over"),
    ],
)
def test_what_cannot_work_is_one_line(
    desk_and_place: tuple[Path, dict[str, str], Desk], arguments: tuple[str, ...], told: str
) -> None:
    place, env, _ = desk_and_place
    command = [*EVOLVE[: 4 + len(SIZES)], "--models", "models.yaml", "--backend", "sim", "--processes", "1"]
    process = start(*command, *arguments, "--no-mlflow", "--out", f"no-{abs(hash(arguments))}", cwd=place, env=env)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 2, err
    assert told in err
    assert "Traceback" not in err
