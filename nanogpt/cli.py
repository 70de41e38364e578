"""The command line of a single training; `python -m nanogpt.train` calls `main`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from nanogpt.knobs import GROUPS, KNOBS, Knob, KnobError, Value, parse, resolve
from nanogpt.prepare import SPLITS, DataError, load_corpus
from nanogpt.presets import PRESETS, PresetError, preset
from nanogpt.results import CurvePoint, TrainRequest
from nanogpt.train import train

_DESCRIPTION = """\
Train one small GPT and print its score in bits per byte (lower is better).

Only what you --set differs from the plain baseline. The same preset, knobs and seed give
exactly the same result on the CPU. Exit code 0: the training ended (read `state`); 2: bad input.
"""

_EXAMPLES = """\
examples:
  python -m nanogpt.train                                  the baseline, about 1.5 s
  python -m nanogpt.train --set matrix_lr=0.02 --set matrix_optimizer=muon --seed 1
  python -m nanogpt.train --data 'books/*.txt' --json
  python -m nanogpt.train --list-knobs
"""


def describe(knob: Knob) -> str:
    """One line with a knob's values and default."""
    if knob.kind == "choice":
        values = "|".join(knob.choices)
    elif knob.kind == "bool":
        values = "true|false"
    else:
        values = f"{knob.low:g} to {knob.high:g}{', log' if knob.log else ''}"
    default = str(knob.default).lower() if knob.kind == "bool" else knob.default
    return f"{knob.name}: {values} (default {default})"


def list_knobs(sources: bool) -> str:
    """All knobs by group, as text."""
    lines = []
    for group in GROUPS:
        lines.append(f"\n{group}")
        for knob in KNOBS.values():
            if knob.group == group:
                lines += [f"  {describe(knob)}", f"      {knob.meaning}"]
                lines += [f"      source: {knob.source}"] if sources else []
    return "\n".join(lines).lstrip("\n")


def _parser() -> argparse.ArgumentParser:
    presets = "\n".join(f"  {p.name:10} {p.meaning}" for p in PRESETS.values())
    epilog = f"{_EXAMPLES}\npresets:\n{presets}\n\nknobs (for --set; --list-knobs adds sources):\n{list_knobs(False)}"
    parser = argparse.ArgumentParser(
        prog="python -m nanogpt.train", description=_DESCRIPTION, epilog=epilog.replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--preset", default="cpu-tiny", help="size and budget (default cpu-tiny)")
    parser.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE", help="change one knob; repeat")
    parser.add_argument("--seed", type=int, default=0, help="of initialization and data order (default 0)")
    parser.add_argument("--data", default="stdlib", help="stdlib (default), a path or glob, or hf:DATASET")
    parser.add_argument("--cache", type=Path, help="folder of prepared data (default $NANOGPT_CACHE, ~/.cache/nanogpt)")
    parser.add_argument("--budget-fraction", type=float, default=1.0, help="share of the preset's budget (default 1)")
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="give up after this wall-clock time")
    parser.add_argument("--score-on", default="val", help=f"splits to score, comma-separated, of {', '.join(SPLITS)}")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--list-knobs", action="store_true", help="show every knob with its source and exit")
    return parser


def _overrides(settings: list[str]) -> dict[str, Value]:
    overrides: dict[str, Value] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise KnobError(f"--set: found '{setting}', expected KNOB=VALUE")
        overrides[name] = parse(name, text)
    return overrides


def _request(arguments: argparse.Namespace) -> TrainRequest:
    """Check everything that can be checked before any data is read."""
    preset(arguments.preset)
    overrides = _overrides(arguments.set)
    resolve(overrides)
    if arguments.device not in ("cpu", "cuda"):
        raise ValueError(f"--device: found '{arguments.device}', expected cpu or cuda")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: this machine has no usable CUDA device")
    if arguments.threads is not None and arguments.threads < 1:
        raise ValueError(f"--threads: found {arguments.threads}, expected at least 1")
    return TrainRequest(
        preset=arguments.preset, knobs=overrides, seed=arguments.seed, budget_fraction=arguments.budget_fraction,
        score_on=tuple(arguments.score_on.split(",")), time_limit_s=arguments.time_limit,
    )  # fmt: skip


def _show(point: CurvePoint) -> None:
    print(
        f"{point.fraction:6.1%}  step {point.step:5d}  {point.seconds:7.2f} s  "
        f"train {point.train_loss:.4f} nats  val {point.val_bpb:.4f} bpb",
        file=sys.stderr, flush=True,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's own); returns the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.list_knobs:
        print(list_knobs(True))
        return 0
    try:
        request = _request(arguments)
        corpus = load_corpus(arguments.data, arguments.cache)
        if arguments.threads is not None:
            torch.set_num_threads(arguments.threads)
        result = train(request, corpus, arguments.device, None if arguments.json else _show)
    except (KnobError, PresetError, DataError, ValueError) as error:
        print(f"nanogpt.train: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result.to_dict()) if arguments.json else result.summary())
    return 0
