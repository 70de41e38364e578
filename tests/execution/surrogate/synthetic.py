"""A recording of a made-up target with nanoGPT's knobs: known scores, known noise, a known way to fail."""

from __future__ import annotations

import math

from metaloop.execution.nanogpt_trainer import knobs
from metaloop.execution.recording.design import Recorded, Stage, draw_batch
from metaloop.execution.surrogate.features import Features
from metaloop.execution.surrogate.fit import Settings, Source
from metaloop.execution.surrogate.model import CURVE
from metaloop.vocabulary.records import Config, CurvePoint, TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import python_stream
from metaloop.vocabulary.space import Space

FLOOR, NOISE, FAILS_ABOVE, SECONDS, SPLIT_SECONDS = 2.0, 0.04, 0.9, 3.0, 0.25
"""Scores are FLOOR + exp(:func:`log_excess` + NOISE z); a matrix_lr above FAILS_ABOVE of its range fails."""
FEATURES = Features(Space(knobs()), "cpu-tiny", 256)
SOURCE = Source("cpu-tiny", target={"data": "made-up"})
SMALL = Settings(subset=200, steps=40, points=150, directions=24)


def log_excess(config: Config) -> float:
    unit = {knob.name: knob.to_unit(config.get(knob.name, knob.default)) for knob in FEATURES.space if knob.numeric}
    smooth = 1.5 * (unit["matrix_lr"] - 0.5) ** 2 + 0.8 * (unit["embedding_lr"] - 0.6) ** 2 - 0.3 * unit["width_scale"]
    return smooth + (0.25 if config.get("norm") == "rmsnorm" else 0.0)


def fails(config: Config) -> bool:
    knob = FEATURES.space["matrix_lr"]
    return knob.to_unit(config.get("matrix_lr", knob.default)) > FAILS_ABOVE


def trained(index: int, stage: Stage, request: TrainingRequest, shared: float = 0.0) -> Recorded:
    """One training; ``shared`` is the share of the noise variance that its seed has for all configurations."""
    common, own = python_stream(request.seed, "common"), python_stream(index, "own")
    z = math.sqrt(shared) * common.gauss(0, 1) + math.sqrt(1 - shared) * own.gauss(0, 1)
    of = FEATURES.sizes(FEATURES.whole(request.config))
    failed = fails(request.config)
    steps = max(1, int(of.steps * 0.3)) if failed else int(of.steps)
    fractions = [f for f in CURVE if math.ceil(f * of.steps) <= steps]
    final = log_excess(request.config) + NOISE * z
    points = [(math.ceil(f * of.steps) / of.steps, FLOOR + math.exp(final + 1 - f)) for f in fractions]
    curve = tuple(CurvePoint(f, SECONDS * f, bpb) for f, bpb in points)
    val = FLOOR + math.exp(final)
    scores = {"val": val, "holdout": val - 0.05 + 0.004 * own.gauss(0, 1), "confirm": val + 0.1}
    bpb = {} if failed else {split: scores[split] for split in request.score_on}
    seconds = SECONDS * steps / of.steps + SPLIT_SECONDS * len(bpb)
    tokens, flops = steps * of.tokens_per_step, steps * of.flops_per_step
    state = "diverged" if failed else "ok"
    return Recorded(
        index, stage, request, TrainingResult(state, seconds, bpb, curve, steps, tokens, flops, "", seconds)
    )


def recording(batches: int, shared: float = 0.0) -> list[Recorded]:
    """64 trainings in each batch, drawn as real recordings are."""
    rows: list[Recorded] = []
    for number in range(batches):
        drawn = draw_batch(FEATURES.space, 0, number, rows)
        rows += [trained(index, stage, request, shared) for index, stage, request in drawn]
    return rows
