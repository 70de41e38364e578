"""What the sandbox and the outside evaluation cost an experiment beyond training and evaluating, on cpu-tiny.

Usage: taskset -c 1 python bench/sandbox.py [--pairs 20] [--fraction 1] [--markdown FILE]. In turns, one and the same
configuration is trained plain, without the learning curve that changed code has not either, and in the sandbox, with a
change that computes the same; every pair has a seed of its own. What is beyond is a sandboxed training's time minus the
plain one's, of the same pair; the parts are timed around the sandbox's own calls. Processor time is what other work on
the machine disturbs least.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from rich.progress import track
from scipy.stats import t as student

from metaloop.execution.nanogpt_trainer import make, sources
from metaloop.execution.sandbox import evaluation
from metaloop.execution.sandbox.handle import Guest
from metaloop.execution.sandbox.training import Sandbox
from metaloop.execution.trainer import TrainerSpec
from metaloop.vocabulary.records import TrainingRequest
from nanogpt import train as target
from nanogpt.prepare import Corpus, load_corpus
from nanogpt.ranks import Alone
from nanogpt.results import TrainRequest

Parts = dict[str, list[float]]


@contextmanager
def timed(parts: dict[str, float], name: str) -> Iterator[None]:
    """Add the wall seconds of a block to a part."""
    started = time.perf_counter()
    try:
        yield
    finally:
        parts[name] += time.perf_counter() - started


def around(parts: dict[str, float], owner: Any, method: str, name: str) -> Callable[[], None]:
    """Time every call of a method; returns what undoes that."""
    original = getattr(owner, method)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        with timed(parts, name):
            return original(*arguments, **named)

    setattr(owner, method, wrapped)
    return lambda: setattr(owner, method, original)


def plain(corpus: Corpus, seed: int, fraction: float) -> tuple[float, float, float]:
    """Wall seconds of a plain training without a curve and of its evaluation; processor seconds of both."""
    request = TrainRequest("cpu-tiny", {}, seed, budget_fraction=fraction)
    started, cpu = time.perf_counter(), time.process_time()
    run = target._begin(request, corpus, "cpu", Alone())
    for _ in target._steps(run):
        pass
    trained = time.perf_counter()
    target._scores(run)
    return trained - started, time.perf_counter() - trained, time.process_time() - cpu


def sandboxed(box: Sandbox, request: TrainingRequest, fresh: bool) -> dict[str, float]:
    """Wall seconds of a sandboxed training, and of its parts. ``fresh``: code that was not audited for seeds before."""
    if fresh:
        box._audited.clear()
    parts: dict[str, float] = defaultdict(float)
    undo = [
        around(parts, box, "_audit_seeds", "seed audit"),
        around(parts, box, "_fit", "training guest, whole"),
        around(parts, box, "_evaluate", "both evaluation passes, whole"),
        around(parts, Guest, "hello", "forks and walls, waited for"),
        around(parts, evaluation, "ready", "serving: imports, weights, model"),
        around(parts, evaluation, "ask", "serving: tokens out, logits back (two passes)"),
        around(parts, evaluation, "moved", "comparing the passes"),
    ]
    try:
        started = time.perf_counter()
        result = box.train(request)
        parts["whole"] = time.perf_counter() - started
    finally:
        for put_back in undo:
            put_back()
    if result.state != "ok":
        sys.exit(f"a sandboxed training ended in {result.state}: {result.message}")
    parts["compute"] = float(result.hashes["compute"])
    parts["cpu"] = result.cpu_seconds
    return parts


def interval(values: list[float]) -> str:
    """Mean with a 95 % t interval, and the median, in milliseconds."""
    data = np.array(values) * 1000
    half = student.ppf(0.975, len(data) - 1) * data.std(ddof=1) / math.sqrt(len(data))
    return f"{data.mean():.0f} [{data.mean() - half:.0f}, {data.mean() + half:.0f}] | {np.median(data):.0f}"


def measure(pairs: int, fraction: float) -> Iterator[tuple[Parts, list[float]]]:
    """Parts by name, and the ratios of processor seconds used to needed, after each pair from the second."""
    trainer = make(TrainerSpec("nanogpt", "cpu-tiny", "stdlib"), gpu=False)
    corpus, box = load_corpus("stdlib"), trainer.sandbox()
    code = {"nanogpt/model.py": sources()["nanogpt/model.py"].replace("NORM_EPS = 1e-5", "NORM_EPS = 2e-5 / 2")}
    sandboxed(box, TrainingRequest({}, seed=0, code=code, budget_fraction=fraction), True)
    found: Parts = defaultdict(list)
    ratios = []
    for seed in track(range(pairs), "pairs"):
        first = seed % 2
        request = TrainingRequest({}, seed=seed, code=code, budget_fraction=fraction)
        if not first:
            train_s, evaluate_s, cpu_s = plain(corpus, seed, fraction)
        new = sandboxed(box, request, True)
        known = sandboxed(box, request, False)
        if first:
            train_s, evaluate_s, cpu_s = plain(corpus, seed, fraction)
        beyond = train_s + evaluate_s
        found["plain: training"].append(train_s)
        found["plain: evaluation"].append(evaluate_s)
        found["**beyond both, code seen for the first time**"].append(new["whole"] - beyond)
        found["**beyond both, code seen before (repeats, confirmation)**"].append(known["whole"] - beyond)
        found["the same in processor time, first time"].append(new["cpu"] - cpu_s)
        found["the same in processor time, seen before"].append(known["cpu"] - cpu_s)
        found["of it: training guest beyond plain training"].append(new["training guest, whole"] - train_s)
        for name, value in new.items():
            if name not in ("whole", "compute", "cpu", "training guest, whole"):
                found[f"of it: {name}"].append(value)
        ratios += [new["compute"], known["compute"]]
        if seed:
            yield found, ratios
    box.close()


def table(found: Parts, ratios: list[float], fraction: float) -> str:
    """The measurement as Markdown."""
    cores = Path("/proc/cpuinfo")
    model = next((line.split(":")[1].strip() for line in cores.read_text().splitlines() if "model name" in line), "")
    n = len(found["plain: training"])
    lines = [
        f"n = {n} pairs, cpu-tiny at {fraction:g} of its budget; {model or platform.processor()}, one core, PyTorch "
        f"{torch.__version__}, Python {platform.python_version()}; milliseconds, of wall time if not said.", "",
        "| | mean [95 % t interval] | median |", "| --- | --- | --- |",
        *(f"| {name} | {interval(values)} |" for name, values in found.items()), "",
        f"Processor seconds used over needed (`hashes[\"compute\"]`), {len(ratios)} honest trainings: median "
        f"{np.median(ratios):.2f}, least {min(ratios):.2f}, most {max(ratios):.2f}.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the preset's budget; what is beyond stays")
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    given = parser.parse_args()
    torch.set_num_threads(1)
    text = ""
    for found, ratios in measure(given.pairs, given.fraction):
        text = table(found, ratios, given.fraction)
        if given.markdown:
            given.markdown.write_text("# Cost of the sandbox\n\nWritten by `make bench-sandbox`.\n\n" + text)
    print(text)


if __name__ == "__main__":
    main()
