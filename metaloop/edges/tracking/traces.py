"""Every exchange with a model as an MLflow trace: the question as its root, one span for each answer.

Made from the transcripts, so that no member ever waits for a tracking server. What a trace says is bounded; the whole
exchange is among the org run's artifacts. An exchange is known by its tag ``metaloop.key``: what a killed publisher
sent and forgot is found again.

MLflow's names: https://mlflow.org/docs/latest/genai/tracing (``start_trace`` with its own times and ``run_id``; the
attributes ``mlflow.chat.tokenUsage`` and ``mlflow.llm.cost`` are those that its pages add up).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import msgspec

from metaloop.brains.model.chat import UNREADABLE, Answer
from metaloop.brains.model.transcript import Exchange
from metaloop.edges.tracking.images import Thoughts
from metaloop.vocabulary.errors import MetaloopError
from metaloop.vocabulary.models import ModelCard

KEY_TAG = "metaloop.key"
MOST_SHOWN = 4000
"""Characters of a message or an answer that a trace shows."""
AT_ONCE = 100
"""Traces that are sent before it is asked whether they arrived: MLflow itself only logs what went wrong."""
PAGE = 500


def send_traces(client: Any, experiment: str, run: str, thoughts: Thoughts, sent: set[str]) -> Iterator[str]:
    """Send the exchanges whose keys are not in ``sent``, and yield the key of each that has arrived.

    Raises:
        MetaloopError: some have not; they are to be sent again.
    """
    fresh = [path for path in sorted(thoughts.folder.glob("*/*.json")) if _key(path) not in sent]
    if not fresh:
        return
    there = _arrived(client, experiment, run)
    yield from there - sent
    paths = (path for path in fresh if _key(path) not in there)
    while some := list(islice(paths, AT_ONCE)):
        keys = {_key(path) for path in some if _send(client, experiment, run, path, thoughts.cards)}
        missing = keys - _arrived(client, experiment, run)
        yield from keys - missing
        if missing:
            raise MetaloopError(f"{len(missing)} traces of model calls have not arrived. They are sent again later.")


def _key(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def _arrived(client: Any, experiment: str, run: str) -> set[str]:
    """Keys of the org run's traces that the server has."""
    found: set[str] = set()
    token = None
    while True:
        page = client.search_traces(
            locations=[experiment], run_id=run, max_results=PAGE, page_token=token, include_spans=False
        )
        found.update(trace.info.tags[KEY_TAG] for trace in page if KEY_TAG in trace.info.tags)
        token = page.token
        if not token:
            return found


def _send(client: Any, experiment: str, run: str, path: Path, cards: Sequence[ModelCard]) -> bool:
    """One exchange; whether there was one to be read. Its end is the file's age, as journals know no wall clock."""
    try:
        exchange = msgspec.json.decode(path.read_bytes(), type=Exchange)
    except (OSError, *UNREADABLE):
        return False
    end = path.stat().st_mtime_ns
    start = end - int(1e9 * exchange.seconds)
    root = client.start_trace(
        f"{exchange.question} by {exchange.member}",
        span_type="AGENT",
        inputs={"question": exchange.question, "member": exchange.member, "number": exchange.index},
        attributes={"seconds": exchange.seconds, "usd": exchange.usd},
        tags={KEY_TAG: _key(path), **_tags(exchange)},
        experiment_id=experiment,
        start_time_ns=start,
        run_id=run,
    )
    for number, (answer, moment) in enumerate(zip(exchange.answers, _moments(exchange, start, end), strict=True)):
        _send_answer(client, root, exchange, number, answer, moment, _price(exchange, answer, cards))
    refused = exchange.complaints[-1] if exchange.complaints else ""
    outputs = {"refused": refused} if refused else {"decision": _shown(exchange.answers[-1].text)}
    status = "ERROR" if refused else "OK"
    client.end_trace(root.trace_id, outputs=outputs, status=status, end_time_ns=end)
    return True


def _tags(exchange: Exchange) -> dict[str, str]:
    refused = exchange.complaints[-1] if exchange.complaints else ""
    found = {"member": exchange.member, "question": exchange.question, "model": exchange.model}
    return {**found, "refused": str(bool(refused)).lower(), **({"refusal": refused[:250]} if refused else {})}


def _send_answer(
    client: Any,
    root: Any,
    exchange: Exchange,
    number: int,
    answer: Answer,
    moment: tuple[int, int],
    price: tuple[float, float],
) -> None:
    """The n-th answer: the turns before it, what it said, what it cost, and what was wrong with it."""
    first = next((n for n, turn in enumerate(exchange.messages) if turn.role == "assistant"), len(exchange.messages))
    spoken = exchange.messages[: first + 2 * number]
    span = client.start_span(
        "answer" if number == 0 else "mended answer",
        trace_id=root.trace_id,
        parent_id=root.span_id,
        span_type="CHAT_MODEL",
        inputs={"messages": [{"role": turn.role, "content": _shown(turn.content)} for turn in spoken]},
        attributes={
            "mlflow.llm.model": exchange.model,
            "mlflow.chat.tokenUsage": {
                "input_tokens": answer.prompt_tokens,
                "output_tokens": answer.reply_tokens,
                "total_tokens": answer.prompt_tokens + answer.reply_tokens,
            },
            "mlflow.llm.cost": {"input_cost": price[0], "output_cost": price[1], "total_cost": sum(price)},
        },
        start_time_ns=moment[0],
    )
    wrong = exchange.complaints[number]
    client.end_span(
        root.trace_id,
        span.span_id,
        outputs={"choices": [{"message": {"role": "assistant", "content": _shown(answer.text)}}], "complaint": wrong},
        status="ERROR" if wrong else "OK",
        end_time_ns=moment[1],
    )


def _moments(exchange: Exchange, start: int, end: int) -> list[tuple[int, int]]:
    """From when to when each answer was written: only the whole is known, so it is shared by tokens written."""
    written = [answer.reply_tokens + 1 for answer in exchange.answers]
    borders = [start + (end - start) * sum(written[:n]) // max(1, sum(written)) for n in range(len(written) + 1)]
    return list(pairwise(borders))


def _price(exchange: Exchange, answer: Answer, cards: Sequence[ModelCard]) -> tuple[float, float]:
    """Dollars for what was read and written, by the card that the run was made with."""
    card = next((card for card in cards if card.name == exchange.model), None)
    return (card.usd(answer.prompt_tokens, 0), card.usd(0, answer.reply_tokens)) if card else (0.0, 0.0)


def _shown(text: str) -> str:
    left_out = len(text) - MOST_SHOWN
    return f"{text[:MOST_SHOWN]}\n… ({left_out} more characters in the transcript)" if left_out > 0 else text
