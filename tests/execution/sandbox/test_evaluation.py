"""The harness's arithmetic, its messages, and what it makes of printed scores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from metaloop.execution.sandbox import evaluation, fingerprints, frames
from metaloop.execution.sandbox.claims import false_claim
from metaloop.execution.sandbox.host import Caught, clean_environment
from metaloop.execution.sandbox.training import check_weights, shard_descriptor
from nanogpt.prepare import Corpus, evaluation_windows, load_corpus


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus("stdlib")


def test_ends_come_from_other_rows_and_beginnings_stay(corpus: Corpus) -> None:
    windows = evaluation_windows(corpus.splits["val"], 32, 64)
    cuts = np.random.default_rng(0).integers(1, 32, size=len(windows))
    replaced = evaluation.with_other_ends(windows, cuts, np.random.default_rng(1))
    differs = 0
    for row, (old, new, cut) in enumerate(zip(windows, replaced, cuts, strict=True)):
        assert (old[:cut] == new[:cut]).all()
        assert any((new[cut:] == other[cut:]).all() for i, other in enumerate(windows) if i != row)
        differs += int(old[cut] != new[cut])
    assert differs >= 62  # one row in a few hundred finds no other token in eight tries


def test_a_lone_window_goes_on_with_its_beginning() -> None:
    windows = np.arange(10)[None, :]
    replaced = evaluation.with_other_ends(windows, np.array([4]), np.random.default_rng(0))
    assert replaced.tolist() == [[0, 1, 2, 3, 0, 1, 2, 3, 4, 5]]


def test_batches_hold_every_window_once_with_its_own_cut(corpus: Corpus) -> None:
    batches = evaluation.batches_of(corpus, ("val", "holdout"), 64, 100)
    for split in ("val", "holdout"):
        own = [batch for batch in batches if batch.split == split]
        whole = np.concatenate([batch.windows for batch in own])
        assert (whole == evaluation_windows(corpus.splits[split], 64, 100)).all()
        for batch in own:
            assert len(batch.windows) == len(batch.replaced) == len(batch.cuts)
            before = np.arange(65)[None, :] < batch.cuts[:, None]
            assert ((batch.windows == batch.replaced) | ~before).all()


def test_cuts_are_drawn_anew_each_time(corpus: Corpus) -> None:
    first, second = (evaluation.batches_of(corpus, ("val",), 64, 64)[0].cuts for _ in range(2))
    assert (first != second).any()


def test_a_move_counts_only_before_the_cut() -> None:
    logits = torch.zeros(3, 5, 2)
    other = logits.clone()
    other[0, 2, 1] = 1e-6
    other[1, 3, 0] = 5.0
    assert evaluation.moved(logits, other, np.array([3, 3, 3]), 0.0) == 1
    assert evaluation.moved(logits, other, np.array([2, 3, 3]), 0.0) == 0
    assert evaluation.moved(logits, other, np.array([3, 4, 3]), 1e-3) == 1


@pytest.mark.parametrize(
    ("log", "claim"),
    [
        ("val_bpb: 0.500", "claim: prints 0.500, measured 2.131"),
        ("step 3, val bpb = 1.2 best so far", "claim: prints 1.200, measured 2.131"),
        ('{"bpb": 2.0}', "claim: prints 2.000, measured 2.131"),
        ("holdout_bpb is 1", "claim: prints 1.000, measured 2.131"),
        ("val_bpb: 2.10", None),
        ("train_bpb: 0.5", None),
        ("bpb", None),
        ("no score here: 0.1", None),
    ],
)
def test_claims(log: str, claim: str | None) -> None:
    assert false_claim(log.encode(), 2.131) == claim


def test_messages_travel_whole_and_are_bounded() -> None:
    read, write = os.pipe()
    frames.send(write, frames.RESULT, b"abc")
    assert frames.receive(read, {frames.RESULT: 3}) == (frames.RESULT, b"abc")
    frames.send(write, frames.RESULT, b"abcd")
    with pytest.raises(frames.FrameError, match="4 bytes where at most 3"):
        frames.receive(read, {frames.RESULT: 3})
    with pytest.raises(frames.FrameError, match="a message of kind b'a' where b'R' is awaited"):
        frames.parse_header(b"a" + bytes(8), {frames.RESULT: 3})
    os.close(write)
    os.read(read, 100)
    with pytest.raises(EOFError):
        frames.receive(read, {frames.RESULT: 3})
    os.close(read)


def test_weights_are_plain_tensors_or_nothing() -> None:
    import pickle

    import safetensors.torch

    check_weights(safetensors.torch.save({"a": torch.ones(3)}))
    for wrong, said in ((pickle.dumps([1]), "a pickle"), (b"PK\x03\x04", "a pickle"), (b"", "something else")):
        with pytest.raises(Caught, match=f"weights: {said} in place of plain tensors"):
            check_weights(wrong)
    whole = safetensors.torch.save({"a": torch.ones(3)})
    with pytest.raises(Caught, match="weights: "):
        check_weights(whole[:-4])


def test_the_shard_holds_the_train_split_and_no_more(corpus: Corpus) -> None:
    in_memory = Corpus("x", 256, corpus.token_bytes, {"train": np.arange(200, dtype=np.uint8)})
    for given in (corpus, in_memory):
        descriptor = shard_descriptor(given)
        size = os.fstat(descriptor).st_size
        assert os.pread(descriptor, size, 0) == np.asarray(given.splits["train"]).tobytes()
        os.close(descriptor)
    for given in (corpus, in_memory):
        descriptor = shard_descriptor(given)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(descriptor, b"x")
        os.close(descriptor)


def test_the_zygotes_environment_holds_no_more_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert set(clean_environment(Path("/x"), gpu=False)) == {
        "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE",
        "PYTHONHASHSEED", "TORCHDYNAMO_DISABLE", "LANG",
    }  # fmt: skip


def test_the_evaluators_hash_needs_no_torch_and_covers_every_module() -> None:
    say = (
        "import sys; from metaloop.execution.sandbox.fingerprints import *; print(evaluator(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [fingerprints.evaluator(), "False"]
    from importlib.util import find_spec

    assert all(find_spec(name) for name in fingerprints.EVALUATOR)
