"""Every cheat is caught with a named reason, and no score comes out."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from metaloop.execution.nanogpt_trainer import NanogptTrainer
from metaloop.vocabulary.code import Edit, EditError
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from nanogpt.prepare import SPLITS, load_corpus
from tests.execution.sandbox.cheats import BUDGET, HOST, LOGITS, SCORES, Cheat, before, code, reading

ALL = (*SCORES, *LOGITS, *BUDGET, *HOST)


def caught(trainer: NanogptTrainer, cheat: Cheat) -> TrainingResult:
    import re

    result = trainer.train(TrainingRequest({}, seed=3, score_on=("val", "holdout"), code=code(*cheat.edits)))
    assert result.bpb == {}, result
    assert (result.state, bool(re.match(cheat.reason, result.message))) == (cheat.state, True), result
    return result


@pytest.mark.parametrize("cheat", ALL, ids=lambda cheat: cheat.name)
def test_a_cheat_is_caught_with_a_named_reason(trainer: NanogptTrainer, cheat: Cheat) -> None:
    if cheat.name == "sleeps for ever":
        pytest.skip("waits for the wall clock: test_the_wall_clock_ends_a_sleeper")
    caught(trainer, cheat)


@pytest.mark.parametrize("split", [name for name in SPLITS if name != "train"])
def test_scored_text_cannot_be_read_by_its_path(trainer: NanogptTrainer, split: str) -> None:
    caught(trainer, reading(str(load_corpus("stdlib").splits[split].filename)))  # type: ignore[attr-defined]
    folder = Path(load_corpus("stdlib").splits["train"].filename).parent  # type: ignore[attr-defined]
    caught(trainer, reading(str(folder / "manifest.json")))


def test_scored_text_cannot_be_made_again_from_its_source(trainer: NanogptTrainer) -> None:
    """The default data is the standard library: its files are no more within reach than the prepared ones."""
    import os

    caught(trainer, reading(os.__file__))
    loading = Cheat(
        "",
        (before("from nanogpt.prepare import load_corpus\nload_corpus()"),),
        "nanogpt.sources.DataError: no Python",
        "crash",
    )
    caught(trainer, loading)


def test_a_connection_to_a_listener_of_this_machine_does_not_arrive(trainer: NanogptTrainer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        caught(trainer, Cheat("", (before(f"import socket\nsocket.create_connection(('127.0.0.1', {port}))"),), "netw"))
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize("path", ["nanogpt/prepare.py", "nanogpt/presets.py", ".git/hooks/post-commit", "../x.py"])
def test_files_that_are_not_editable_are_refused_twice(trainer: NanogptTrainer, path: str) -> None:
    with pytest.raises(EditError, match="no editable file"):
        code(Edit(path, "a", "b"))
    result = trainer.train(TrainingRequest({}, seed=3, code={path: "x = 1\n"}))
    assert (result.state, result.message, result.bpb) == ("cheat", f"evaluator: {path} is no editable file", {})


def test_what_a_serving_model_read_does_not_get_out(trainer: NanogptTrainer) -> None:
    """Neither by its error, its output, its exit code nor a forged reason."""
    from tests.execution.sandbox.cheats import answer

    for statement in (
        "raise ValueError(tokens.tolist())",
        "print(tokens.tolist())\n    raise SystemExit(7)",
        "import os\n    os._exit(int(tokens[0, 0]) % 100 + 1)",
        "open('/' + ','.join(map(str, tokens[0].tolist())))",
        "import os\n    os.write(3, b'T' + (9).to_bytes(8, 'little') + b'secret: 1')\n    os._exit(0)",
    ):
        edit = answer(f"if not torch.is_grad_enabled():\n    {statement}")
        result = trainer.train(TrainingRequest({}, seed=3, code=code(edit)))
        assert result.bpb == {}
        assert result.message in ("serving: while serving", "reads: while serving"), result
        assert trainer.sandbox().log == b""
