"""One rank as a process: `rank_process.py RANK COUNT MEETING_PLACE CACHE` trains what each line of its input asks for.

A line is `{"request": {...}, "fail": {"rank": 1, "step": 3, "how": "oom"}}`; its answer, a line too, is the result.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import nanogpt.train as train_module
from nanogpt.prepare import load_corpus
from nanogpt.ranks import RanksLost, Together, join
from nanogpt.results import StopRule, TrainRequest

ORIGINAL = train_module._Training.forward_backward
PATIENCE_S = 60.0


def sabotage(rank: int, fail: dict[str, Any]) -> None:
    """Let this rank's training fail at a step, if it is the one named."""

    def forward_backward(run: Any) -> Tensor:
        if fail.get("rank") == rank and run.step == fail["step"]:
            if fail["how"] == "die":
                os._exit(7)
            if fail["how"] == "nan":
                return ORIGINAL(run) * float("nan")
            raise MemoryError("no memory") if fail["how"] == "oom" else ZeroDivisionError("a bug")
        return ORIGINAL(run)

    train_module._Training.forward_backward = forward_backward  # type: ignore[method-assign]


def answer(rank: int, count: int, order: dict[str, Any], corpus: Any) -> dict[str, Any]:
    sabotage(rank, order.get("fail", {}))
    fields = dict(order["request"])
    stop = StopRule(**fields.pop("stop")) if "stop" in fields else None
    request, ranks = TrainRequest(**fields, stop=stop), Together(rank, count)
    try:
        if rank:
            result, model = train_module.fit(request, corpus, ranks=ranks)
            weights = sum(p.double().sum().item() for p in model.parameters()) if model else None
            return result.to_dict() | {"weights": weights}
        return train_module.train(request, corpus, ranks=ranks).to_dict()
    except RanksLost as error:
        return {"state": "lost", "message": str(error)}
    except ValueError as error:
        return {"state": "invalid", "message": str(error)}


def main() -> None:
    rank, count = int(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    corpus = load_corpus(cache=Path(sys.argv[4]))
    join(rank, count, Path(sys.argv[3]), PATIENCE_S, cuda=False)
    for line in sys.stdin:
        print(json.dumps(answer(rank, count, json.loads(line), corpus)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
