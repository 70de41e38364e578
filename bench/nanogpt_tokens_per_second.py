"""Training speed of nanogpt beside karpathy/nanoGPT on the same CPU core, shape, batch and data.

    git clone https://github.com/karpathy/nanoGPT ../nanoGPT
    taskset -c 1 python bench/nanogpt_tokens_per_second.py --peer ../nanoGPT

Both train in float32 on one thread, uncompiled, on the plain configuration (LayerNorm, learned positions, GELU, no
biases, tied head, AdamW, clipping at 1). They take turns. Seconds are CPU seconds of the one thread, which on an idle
core are wall-clock seconds and on a busy machine leave out the waiting. Peer: the mean of the iteration times that its
train.py prints, the first ten left out. Ours: the extra tokens of a whole budget over half of one, by the extra
seconds; both read the same five points of the learning curve, so evaluation cancels out.
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from nanogpt.knobs import Config, resolve
from nanogpt.prepare import Corpus, load_corpus
from nanogpt.presets import PRESETS, Shape, shape_of
from nanogpt.train import TrainRequest, train

WARMUP = 10  # iterations of the peer that are not counted
# Starts the peer's train.py with its clock, time.time, replaced by the CPU time of the process.
PEER = "import runpy, time; time.time = time.process_time; runpy.run_path('train.py', run_name='__main__')"


def prepare_peer(peer: Path, corpus: Corpus, folder: Path) -> None:
    """Copy the peer's three files into `folder` and give it our corpus in its own format."""
    for name in ("train.py", "model.py", "configurator.py"):
        shutil.copy(peer / name, folder / name)
    data = folder / "data" / "bench"
    data.mkdir(parents=True)
    for split in ("train", "val"):
        np.asarray(corpus.splits[split], dtype=np.uint16).tofile(data / f"{split}.bin")
    (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": corpus.vocab}))


def peer_speed(folder: Path, shape: Shape, config: Config, iterations: int) -> float:
    """Tokens per second of the peer's train.py over `iterations` iterations."""
    settings = {
        "dataset": "bench", "device": "cpu", "dtype": "float32", "compile": False, "out_dir": "out",
        "eval_interval": 10**9, "eval_iters": 1, "gradient_accumulation_steps": 1, "batch_size": shape.batch,
        "block_size": shape.sequence, "n_layer": shape.depth, "n_head": shape.heads, "n_embd": shape.width,
        "learning_rate": config.matrix_lr, "min_lr": config.matrix_lr / 10, "beta2": config.beta2,
        "warmup_iters": 10, "max_iters": WARMUP + iterations, "lr_decay_iters": WARMUP + iterations,
    }  # fmt: skip
    command = [sys.executable, "-c", PEER, *(f"--{key}={value}" for key, value in settings.items())]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the peer's train.py failed:\n{done.stderr[-2000:]}")
    milliseconds = [float(t) for t in re.findall(r"^iter \d+: .*time ([\d.]+)ms", done.stdout, re.MULTILINE)]
    return shape.batch * shape.sequence * 1000 / statistics.mean(milliseconds[WARMUP:])


def our_speed(preset: str, knobs: dict[str, float], corpus: Corpus, repeats: int) -> float:
    """Tokens per second of nanogpt.train over `repeats` pairs of trainings."""
    tokens, seconds = 0, 0.0
    for seed in range(repeats):
        start = time.process_time()
        whole = train(TrainRequest(preset, knobs, seed), corpus)
        middle = time.process_time()
        half = train(TrainRequest(preset, knobs, seed, budget_fraction=0.5), corpus)
        tokens += whole.tokens - half.tokens
        seconds += (middle - start) - (time.process_time() - middle)
    return tokens / seconds


def compare(arguments: argparse.Namespace, knobs: dict[str, float], corpus: Corpus, folder: Path) -> None:
    """Print the speeds and ratios of one model shape."""
    config = resolve(knobs)
    shape = shape_of(config, PRESETS[arguments.preset], corpus.vocab)
    train(TrainRequest("cpu-micro", {}, 0), corpus)
    ours, peers = [], []
    for _ in range(arguments.rounds):
        ours.append(our_speed(arguments.preset, knobs, corpus, arguments.repeats))
        peers.append(peer_speed(folder, shape, config, arguments.iterations))
    ratios = [a / b for a, b in zip(ours, peers, strict=True)]
    print(f"shape: {shape.depth} layers, width {shape.width}, {shape.heads} heads, {shape.batch} x {shape.sequence}")
    print(f"nanogpt_tokens_per_second: {statistics.median(ours):.0f}")
    print(f"nanoGPT_tokens_per_second: {statistics.median(peers):.0f}")
    print(f"ratio: {statistics.median(ratios):.3f} (median of {len(ratios)} rounds, "
          f"{min(ratios):.3f} to {max(ratios):.3f})", flush=True)  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--preset", default="cpu-tiny")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=8, help="pairs of our trainings in a round")
    parser.add_argument("--iterations", type=int, default=150, help="iterations of the peer in a round")
    parser.add_argument("--width-scales", type=float, nargs="+", default=[1.0, 2.0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus()
    with tempfile.TemporaryDirectory() as folder:
        prepare_peer(arguments.peer.resolve(), corpus, Path(folder))
        for scale in arguments.width_scales:
            compare(arguments, {"width_scale": scale}, corpus, Path(folder))


if __name__ == "__main__":
    main()
