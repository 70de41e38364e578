"""A trainer of two devices as a process of its own: prints its followers' process ids, then a state for each knob line.

Its input are JSON objects of knobs, a line each, with the budget fraction under ``share``.
"""

from __future__ import annotations

import json
import sys

from metaloop.execution.nanogpt_trainer import make
from metaloop.execution.trainer import TrainerSpec
from metaloop.vocabulary.records import TrainingRequest


def main() -> None:
    trainer = make(TrainerSpec("nanogpt", "cpu-micro", "stdlib", devices=2), gpu=False)
    assert trainer._group is not None
    print(json.dumps(trainer._group.pids), flush=True)
    for line in sys.stdin:
        knobs = json.loads(line)
        share = knobs.pop("share", 1.0)
        code = {"nanogpt/train.py": ""} if knobs.pop("code", False) else {}
        result = trainer.train(TrainingRequest(knobs, seed=1, budget_fraction=share, code=code))
        print(json.dumps([result.state, result.message, result.bpb]), flush=True)
    trainer._group.close()


if __name__ == "__main__":
    main()
