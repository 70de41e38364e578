"""Model calls in MLflow: a real run over a real server, and what the tracking client finds of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from metaloop.brains.model.transcript import Exchange, read_exchanges
from metaloop.edges.tracking.images import images
from metaloop.edges.tracking.publisher import Publisher
from metaloop.edges.tracking.traces import MOST_SHOWN
from metaloop.files.run_folder import RunFolder
from tests.brains.model.guesser import guesses
from tests.brains.model.server import Handler, says, serving

ROOT = Path(__file__).resolve().parents[2]
CODE = "from metaloop.edges.cli import main; main()"
KEY = "sk-secret-0123456789"
MODELS = "models:\n  guess: {usd_per_million_prompt: 2.0, usd_per_million_reply: 8.0, timeout_s: 20, attempts: 1}\n"
SIZES = ("--backend", "sim", "--gpu-hours", "0.004", "--confirm-pairs", "2", "--out", "out")


class Erring:
    """Guesses, but every third answer is no JSON, and some are mended."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, handler: Handler) -> None:
        self.count += 1
        if self.count % 3 == 0 or self.count in (7, 8):
            says(f"I would rather not {KEY}"[:18] + " say." * 2000, 50, 7)(handler)
        else:
            guesses(handler)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Any]:
    """A run's folder, its tracking server's address, and a client of that server."""
    from mlflow import MlflowClient

    place = tmp_path_factory.mktemp("traced")
    (place / "models.yaml").write_text(MODELS)
    uri = f"sqlite:///{place / 'mlflow.db'}"
    with serving(Erring()) as (url, _):
        env = {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": KEY, "MLFLOW_TRACKING_URI": uri}
        organization = str(ROOT / "docs" / "examples" / "prose-bold")
        arguments = ("run", organization, "--model", "guess", "--models", "models.yaml", *SIZES)
        command = [sys.executable, "-c", CODE, *arguments]
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        follow = [sys.executable, "-m", "metaloop.edges.tracking", "out"]
        subprocess.run(follow, cwd=place, env=env, check=True, timeout=300)
    return place / "out", uri, MlflowClient(tracking_uri=uri)


def traces_of(out: Path, client: Any) -> tuple[str, list[Any]]:
    """The org run's MLflow run, and its traces."""
    memory = json.loads((out / "mlflow.json").read_bytes())
    run = memory["runs"]["prose-bold/seed-0"]["id"]
    return run, list(client.search_traces(locations=[memory["experiment"]], run_id=run, max_results=500))


@pytest.mark.long
class TestTraces:
    def exchanges(self, out: Path) -> dict[str, Exchange]:
        folder = RunFolder(out).org_run("prose-bold", 0).transcripts
        assert read_exchanges(folder)
        return {f"{path.parent.name}/{path.stem}": _read(path) for path in folder.glob("*/*.json")}

    def test_every_exchange_is_a_trace_of_its_org_run(self, tracked: tuple[Path, str, Any]) -> None:
        out, _, client = tracked
        run, traces = traces_of(out, client)
        exchanges = self.exchanges(out)
        assert {trace.info.tags["metaloop.key"] for trace in traces} == set(exchanges)
        assert len(traces) == len(exchanges)
        assert {trace.info.trace_metadata["mlflow.sourceRun"] for trace in traces} == {run}

    def test_a_trace_tells_tokens_seconds_cost_and_what_was_refused(self, tracked: tuple[Path, str, Any]) -> None:
        out, _, client = tracked
        exchanges = self.exchanges(out)
        assert any(len(each.answers) > 1 for each in exchanges.values())
        for trace in traces_of(out, client)[1]:
            exchange = exchanges[trace.info.tags["metaloop.key"]]
            prompt = sum(answer.prompt_tokens for answer in exchange.answers)
            reply = sum(answer.reply_tokens for answer in exchange.answers)
            usage = trace.info.token_usage
            assert (usage["input_tokens"], usage["output_tokens"]) == (prompt, reply)
            assert trace.info.cost["total_cost"] == pytest.approx(exchange.usd)
            assert trace.info.execution_duration == pytest.approx(1000 * exchange.seconds, abs=2)
            refused = exchange.complaints[-1]
            assert (trace.info.tags["refused"], trace.info.tags.get("refusal", "")) == (
                str(bool(refused)).lower(),
                refused[:250],
            )
            assert str(trace.info.state.value) == ("ERROR" if refused else "OK")
            self.check_spans(trace, exchange)

    def check_spans(self, trace: Any, exchange: Exchange) -> None:
        root, *spans = sorted(trace.data.spans, key=lambda span: (span.parent_id is not None, span.start_time_ns))
        assert root.name == f"{exchange.question} by {exchange.member}"
        assert len(spans) == len(exchange.answers)
        for span, answer in zip(spans, exchange.answers, strict=True):
            assert span.span_type == "CHAT_MODEL"
            said = span.outputs["choices"][0]["message"]["content"]
            assert said[:MOST_SHOWN] == answer.text[:MOST_SHOWN]
            assert len(said) < MOST_SHOWN + 100
            assert span.inputs["messages"][0]["content"][:100] == exchange.messages[0].content[:100]
        assert [len(span.inputs["messages"]) for span in spans] == [2, 4][: len(spans)]

    def test_nothing_is_sent_twice_whatever_was_forgotten(self, tracked: tuple[Path, str, Any]) -> None:
        out, uri, client = tracked
        before = len(traces_of(out, client)[1])
        Publisher(out / "mlflow.json", uri).publish(images(out))
        assert len(traces_of(out, client)[1]) == before
        memory = json.loads((out / "mlflow.json").read_bytes())
        assert len(memory["runs"]["prose-bold/seed-0"]["traces"]) == before
        memory["runs"]["prose-bold/seed-0"]["traces"] = []
        (out / "mlflow.json").write_text(json.dumps(memory))
        Publisher(out / "mlflow.json", uri).publish(images(out))
        assert len(traces_of(out, client)[1]) == before

    def test_no_secret_is_in_the_database(self, tracked: tuple[Path, str, Any]) -> None:
        out, _, _ = tracked
        assert KEY.encode() not in (out.parent / "mlflow.db").read_bytes()


def _read(path: Path) -> Exchange:
    return msgspec.json.decode(path.read_bytes(), type=Exchange)
