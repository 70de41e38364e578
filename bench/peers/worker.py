"""One device of a real comparison: a process that trains nanoGPT, and asks at each point of the curve whether to go on.

Usage: python worker.py PRESET DATA, in an environment that has torch. Lines of JSON: it says ``{"ready": true}`` when
warm; is sent an Order; answers ``{"point": [fraction, seconds, bpb]}`` at each point before the end if the order is
watched (and waits for ``"go"`` or ``"stop"``), then ``{"result": TrainingResult}``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgspec

from metaloop.execution.nanogpt_trainer import LONGEST_S, make
from metaloop.execution.trainer import TrainerSpec
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult


class Order(msgspec.Struct, frozen=True):
    """A training; ``watched``: whether the one who ordered it decides at each point."""

    request: TrainingRequest
    watched: bool


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a worker says: exactly one of the three."""

    ready: bool = False
    point: CurvePoint | None = None
    result: TrainingResult | None = None


class _Stopped(Exception):
    """The one who ordered the training does not want the rest of it."""


def main() -> None:
    """Train until standard input ends."""
    from nanogpt.prepare import load_corpus

    spec = TrainerSpec("nanogpt", sys.argv[1], sys.argv[2])
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever prints must not get between the lines
    trainer = make(spec, gpu=False)
    corpus = load_corpus(spec.data)
    _say(answers, Message(ready=True))
    for line in sys.stdin:
        order = msgspec.json.decode(line, type=Order)
        result = _watched(order.request, spec, corpus, answers) if order.watched else trainer.train(order.request)
        _say(answers, Message(result=result))


def _say(answers, message: Message) -> None:  # type: ignore[no-untyped-def]
    answers.write(msgspec.json.encode(message) + b"\n")


def _watched(request: TrainingRequest, spec: TrainerSpec, corpus, answers) -> TrainingResult:  # type: ignore[no-untyped-def]
    """As :meth:`NanogptTrainer.train`, point by point."""
    from nanogpt.results import CurvePoint as Reached
    from nanogpt.train import TrainRequest, train

    seen: list[CurvePoint] = []

    def ask(reached: Reached) -> None:
        seen.append(CurvePoint(reached.fraction, reached.seconds, reached.val_bpb))
        if reached.fraction < 1:
            _say(answers, Message(point=seen[-1]))
            if sys.stdin.readline().strip() == '"stop"':
                raise _Stopped

    wanted = TrainRequest(
        preset=spec.preset,
        knobs=request.config,
        seed=request.seed,
        score_on=request.score_on,
        time_limit_s=LONGEST_S.get(spec.preset, 1800.0) / 2,
    )
    try:
        result = train(wanted, corpus, "cpu", ask)
    except _Stopped:
        return TrainingResult("stopped", seen[-1].seconds, curve=tuple(seen))
    return TrainingResult(
        result.state,  # type: ignore[arg-type]
        result.seconds,
        dict(result.bpb),
        tuple(seen),
        message=result.message,
    )


if __name__ == "__main__":
    main()
