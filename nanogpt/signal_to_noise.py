"""Is a preset worth searching? `python -m nanogpt.signal_to_noise --preset cpu-tiny --search 60`

Prints the standard deviation over seeds at the baseline (the noise), the spread over random configurations (the
signal), the seconds of a training, and what a short local search finds.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Mapping

import numpy as np
import torch

from nanogpt.knobs import KNOBS, Knob, Value, bounds
from nanogpt.prepare import Corpus, load_corpus
from nanogpt.results import TrainRequest, TrainResult
from nanogpt.train import train

Overrides = dict[str, Value]


def draw(knob: Knob, random: np.random.Generator) -> Value:
    """A value of `knob` uniformly from its range, on its scale."""
    if knob.kind == "choice":
        return knob.choices[int(random.integers(len(knob.choices)))]
    if knob.kind == "bool":
        return bool(random.integers(2))
    low, high = bounds(knob)
    if knob.kind == "int":
        return int(random.integers(int(low), int(high) + 1))
    value = math.exp(random.uniform(math.log(low), math.log(high))) if knob.log else random.uniform(low, high)
    return min(max(value, low), high)


def nudge(knob: Knob, value: Value, step: float, random: np.random.Generator) -> Value:
    """`value` moved by a normal step of `step` times the range; a fresh draw for choices and switches."""
    if knob.kind != "float":
        return draw(knob, random)
    ends = bounds(knob)
    low, high, at = (math.log(x) if knob.log else x for x in (*ends, float(value)))
    moved = min(max(at + step * (high - low) * random.normal(), low), high)
    return min(max(math.exp(moved) if knob.log else moved, ends[0]), ends[1])


def search(preset: str, corpus: Corpus, trainings: int, seed: int) -> tuple[float, Overrides, list[float]]:
    """Keep-if-better search: 1 to 5 knobs change at a time. Returns the best val bpb, its knobs and the trace."""
    random = np.random.default_rng(seed)
    best: Overrides = {}
    best_bpb = score(train(TrainRequest(preset, best, seed), corpus))
    trace = [best_bpb]
    for _ in range(trainings - 1):
        names = random.choice(list(KNOBS), size=int(random.integers(1, 6)), replace=False)
        trial = dict(best)
        for name in map(str, names):
            trial[name] = nudge(KNOBS[name], best.get(name, KNOBS[name].default), 0.2, random)
        bpb = score(train(TrainRequest(preset, trial, seed), corpus))
        if bpb < best_bpb:
            best_bpb, best = bpb, trial
        trace.append(best_bpb)
    return best_bpb, best, trace


def score(result: TrainResult) -> float:
    """val bits per byte; infinity for a training that did not end well."""
    return result.bpb.get("val", math.inf)


def _report_noise(preset: str, corpus: Corpus, knobs: Mapping[str, Value], seeds: int, name: str) -> None:
    results = [train(TrainRequest(preset, knobs, 1000 + seed), corpus) for seed in range(seeds)]
    scores = [score(result) for result in results]
    print(f"{name}_bpb: {statistics.mean(scores):.4f}")
    print(f"{name}_seed_sd: {statistics.stdev(scores):.4f} (n={seeds})")
    print(f"{name}_seconds: {statistics.median(r.seconds for r in results):.2f} (median)", flush=True)


def _report_spread(preset: str, corpus: Corpus, configs: int) -> None:
    random = np.random.default_rng(0)
    points = [{name: draw(knob, random) for name, knob in KNOBS.items()} for _ in range(configs)]
    results = [train(TrainRequest(preset, knobs, 0), corpus) for knobs in points]
    scores = [score(result) for result in results if result.state == "ok"]
    seconds = [result.seconds for result in results]
    states = sorted({result.state for result in results})
    print("random_states: " + ", ".join(f"{s} {sum(r.state == s for r in results)}" for s in states))
    if len(scores) > 1:
        print(f"random_bpb: best {min(scores):.4f}, median {statistics.median(scores):.4f}")
        print(f"random_sd: {statistics.stdev(scores):.4f} (n={len(scores)} that ended ok)")
    print(f"random_seconds: median {statistics.median(seconds):.2f}, most {max(seconds):.2f}", flush=True)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="cpu-tiny")
    parser.add_argument("--configs", type=int, default=30, help="random configurations (default 30)")
    parser.add_argument("--seeds", type=int, default=6, help="trainings of the baseline (default 6, at least 2)")
    parser.add_argument("--search", type=int, default=0, help="trainings of a local search (default 0: none)")
    parser.add_argument("--search-seed", type=int, default=0, help="seed of the search and of its trainings")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    corpus = load_corpus()
    train(TrainRequest("cpu-micro", {}, 0), corpus)  # so that no measured training pays for first use
    _report_noise(arguments.preset, corpus, {}, max(2, arguments.seeds), "baseline")
    if arguments.configs:
        _report_spread(arguments.preset, corpus, arguments.configs)
    if arguments.search:
        best, knobs, trace = search(arguments.preset, corpus, arguments.search, arguments.search_seed)
        marks = [n for n in (10, 20, 30, 60, 120, 250, 500) if n <= len(trace)]
        print("search_bpb: " + ", ".join(f"{trace[n - 1]:.4f} after {n}" for n in marks) + f"; {best:.4f} at the end")
        print(f"search_knobs: {knobs}", flush=True)
        _report_noise(arguments.preset, corpus, knobs, max(2, arguments.seeds), "found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
