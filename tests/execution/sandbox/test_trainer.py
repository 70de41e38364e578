"""Honest change sets in the sandbox: the contract, and the same scores as the changed package itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from metaloop.execution.nanogpt_trainer import NanogptTrainer
from metaloop.execution.trainer import TrainerSpec
from metaloop.vocabulary.code import Edit
from metaloop.vocabulary.records import TrainingRequest
from metaloop.vocabulary.space import Value
from tests.execution.sandbox.cheats import ANSWER, MODEL, TRAIN, after, before, code, on_import
from tests.execution.trainer_contract import SandboxedTrainerContract

OPTIM, SCHEDULE, FEED = "nanogpt/optim.py", "nanogpt/schedule.py", "nanogpt/feed.py"
HONEST: dict[str, tuple[Edit, ...]] = {
    "other activation": (Edit(MODEL, "x = F.gelu(x)", "x = F.silu(x)"),),
    "other optimizer constant": (Edit(OPTIM, "norm + 1e-6", "norm + 1e-5"),),
    "label smoothing": (
        Edit(MODEL, "        if self.config.z_loss == 0:\n            return cross_entropy, cross_entropy.detach()\n",
             "        if self.config.z_loss == 0:\n"
             "            smooth = F.cross_entropy(out, targets.flatten(), label_smoothing=0.05)\n"
             "            return smooth, cross_entropy.detach()\n"),
    ),
    "steeper schedule": (Edit(SCHEDULE, "return 1 - progress\n", "return (1 - progress) ** 2\n"),
                         Edit(SCHEDULE, "return 0.5 * (1 + math.cos(math.pi * progress))", "return 1 - progress**2")),
    "scaled embedding": (Edit(MODEL, "        x0 = x\n", "        x = x * 2.0\n        x0 = x\n"),),
    "a parameter more": (
        Edit(MODEL, "        self._add_tables()\n\n", "        self.bias = nn.Parameter(torch.zeros(shape.vocab))\n"
             "        self._add_tables()\n\n"),
        Edit(MODEL, ANSWER, ANSWER.replace("else out\n", "else out + self.bias\n")),
    ),
    "dropout": (Edit(MODEL, "        x = F.linear(x, self.up)\n",
                     "        x = F.dropout(F.linear(x, self.up), 0.1, self.training)\n"),),
    "standard library": (on_import("import collections, functools, statistics, copy"),
                         after("copy.deepcopy(run.model.state_dict())")),
    "its own notes": (before("open('/tmp/notes.txt', 'w').write('started')"), after("print('train_bpb: 0.1, done')")),
}  # fmt: skip


class TestSandboxedNanogptTrainer(SandboxedTrainerContract):
    spec = TrainerSpec("nanogpt", "cpu-micro", "stdlib")
    neutral = (
        code(Edit(MODEL, "NORM_EPS = 1e-5", "NORM_EPS = 2e-5 / 2")),
        code(Edit(SCHEDULE, "return 1 - progress\n", "return -progress + 1\n")),
        code(before("kept = run"), after("print(kept.step, 'steps')")),
        code(Edit(FEED, "starts[:, None] + self.offsets", "self.offsets + starts[:, None]")),
    )
    changed = code(*HONEST["scaled embedding"])
    broken = code(before("raise RuntimeError('no')"))


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_change_passes(trainer: NanogptTrainer, name: str) -> None:
    result = trainer.train(TrainingRequest({}, seed=2, score_on=("val", "holdout"), code=code(*HONEST[name])))
    assert (result.state, result.message) == ("ok", "")
    assert set(result.bpb) == {"val", "holdout"}


MODERN: dict[str, Value] = {
    "matrix_optimizer": "muon", "value_embeddings": "gated", "position": "rope", "window_pattern": "SL",
    "logit_softcap": 15.0, "qk_norm": True, "norm": "rmsnorm", "tied_head": False, "residual_lambdas": True,
    "queries_per_kv": 2, "activation": "swiglu",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("knobs", [{}, MODERN], ids=["plain", "modern"])
@pytest.mark.parametrize("name", ["scaled embedding", "other activation", "label smoothing"])
def test_the_score_is_that_of_the_changed_package_itself(
    trainer: NanogptTrainer, tmp_path: Path, name: str, knobs: dict[str, Value]
) -> None:
    """Bitwise: the changed files trained and scored by their own `python -m nanogpt.train`."""
    changed = code(*HONEST[name])
    shutil.copytree(Path(__file__).resolve().parents[3] / "nanogpt", tmp_path / "nanogpt")
    for path, text in changed.items():
        (tmp_path / path).write_text(text)
    command = [
        sys.executable,
        "-m",
        "nanogpt.train",
        "--preset",
        "cpu-micro",
        "--seed",
        "4",
        "--threads",
        "1",
        "--json",
    ]
    command += [
        part
        for key, value in knobs.items()
        for part in ("--set", f"{key}={str(value).lower() if isinstance(value, bool) else value}")
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    result = trainer.train(TrainingRequest(knobs, seed=4, code=changed))
    assert result.bpb == json.loads(done.stdout)["bpb"], result.message


def test_text_that_is_no_python_is_a_crash(trainer: NanogptTrainer) -> None:
    result = trainer.train(TrainingRequest({}, seed=2, code={TRAIN: "def fit(:\n"}))
    assert (result.state, result.bpb) == ("crash", {})
    assert result.message.startswith("SyntaxError")


def test_what_a_training_prints_is_kept(trainer: NanogptTrainer) -> None:
    result = trainer.train(TrainingRequest({}, seed=2, code=code(after("print('x' * 100_000)\nprint('the end')"))))
    assert result.state == "ok"
    assert trainer.sandbox().log.endswith(b"the end\n")
    assert len(trainer.sandbox().log) == 64 * 1024
