"""Which trainings to record, so that a surrogate learns the whole space and knows the good regions best.

Five kinds, interleaved so that a recording is balanced wherever it is stopped. After the first :data:`PHASES` batches
the whole space is known well enough to rank it (rank correlation 0.96 measured at 1,000 trainings), the good regions
are not (0.56 within the best decile), so most of what follows goes there. There noise is as large as what is left to
tell apart, so that in the end more is learned from a second seed of a good configuration than from one more of them:

- ``space``: a scrambled Sobol sequence over all knobs (Sobol 1967; scrambling: Owen 1998), even on each knob's scale;
- ``walk``: from the baseline, 1 to 12 knobs moved by steps from tiny to the whole range: where every org run starts;
- ``near``: as ``walk``, but from one of the best trainings so far: where org runs end;
- ``repeat``: a training seen before, on a fresh seed: the noise;
- ``again``: one of the best tenth of the configurations on a fresh seed, those trained least often first.

A batch is drawn from the results of the batches before it, and from the seed: the same machine records the same.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

import msgspec
from scipy.stats import qmc

from metaloop.vocabulary.records import Config, TrainingRequest, TrainingResult, digest, effective
from metaloop.vocabulary.seeds import derive, python_stream
from metaloop.vocabulary.space import Knob, Space, Value

Stage = Literal["space", "walk", "near", "repeat", "again", "organization"]
"""Why a training was recorded; ``organization``: an org run made it."""

BATCH = 64
"""Trainings drawn at a time."""
PHASES: tuple[tuple[int, dict[Stage, float]], ...] = (
    (17, {"space": 0.35, "walk": 0.2, "near": 0.3, "repeat": 0.15}),
    (38, {"space": 0.1, "walk": 0.12, "near": 0.63, "repeat": 0.15}),
    (1_000_000, {"space": 0.05, "walk": 0.05, "near": 0.3, "again": 0.6}),
)
"""Up to which batch (exclusive) how often each kind is drawn."""
BEST = 0.1
"""Share of the configurations that ``again`` draws from."""
ELITE = 0.05
"""Share of the scored trainings that ``near`` starts from."""
MOST_CHANGES = 12
STEPS = (0.02, 1.0)
"""Least and largest standard deviation of a step, as a share of a knob's range; drawn evenly on a log scale."""
SEED_BITS = 31
ALL_SPLITS_EVERY = 4
"""Every fourth training is scored on all three splits, the others on ``val`` and ``confirm``."""


class Recorded(msgspec.Struct, frozen=True):
    """One recorded training."""

    index: int
    stage: Stage
    request: TrainingRequest
    result: TrainingResult

    @property
    def bpb(self) -> float | None:
        """The score on ``val``, where there is one."""
        return self.result.bpb.get("val") if self.result.state == "ok" else None


def draw_batch(
    space: Space, seed: int, number: int, past: Sequence[Recorded]
) -> list[tuple[int, Stage, TrainingRequest]]:
    """Batch ``number`` (from 0): index, kind and request of each training. ``past`` holds all earlier batches."""
    rng = python_stream(seed, "recording", number)
    points = _sobol(len(space), seed, number)
    shares = next(shares for until, shares in PHASES if number < until)
    again = _best_by_count(past) if "again" in shares else []
    drawn: list[tuple[int, Stage, TrainingRequest]] = []
    for place in range(BATCH):
        index = number * BATCH + place
        stage = _stage(rng, past, shares)
        config = _least_often(again) if stage == "again" else _config(stage, space, rng, points[place], past)
        splits = ("val", "confirm") if index % ALL_SPLITS_EVERY else ("val", "holdout", "confirm")
        train_seed = derive(seed, "recording-seed", index) >> (64 - SEED_BITS)
        drawn.append((index, stage, TrainingRequest(config, train_seed, splits)))
    return drawn


def _sobol(dimensions: int, seed: int, number: int) -> Sequence[Sequence[float]]:
    """The points of one batch; each batch skips those of the batches before it."""
    sequence = qmc.Sobol(dimensions, scramble=True, rng=derive(seed, "sobol"))
    if number:
        sequence.fast_forward(number * BATCH)
    points: Sequence[Sequence[float]] = sequence.random(BATCH).tolist()
    return points


def _stage(rng: random.Random, past: Sequence[Recorded], shares: dict[Stage, float]) -> Stage:
    stage = rng.choices(list(shares), list(shares.values()))[0]
    return stage if past else ("walk" if stage == "near" else "space" if stage in ("repeat", "again") else stage)


def _config(stage: Stage, space: Space, rng: random.Random, point: Sequence[float], past: Sequence[Recorded]) -> Config:
    if stage == "space":
        drawn = {knob.name: knob.from_unit(unit) for knob, unit in zip(space, point, strict=True)}
        return effective({}, drawn, space.defaults())
    if stage == "repeat":
        return _repeated(rng, past)
    return _stepped(space, rng, _elite(rng, past) if stage == "near" else {})


def _elite(rng: random.Random, past: Sequence[Recorded]) -> Config:
    scored = sorted((r for r in past if r.bpb is not None), key=lambda r: (r.bpb, r.index))
    return rng.choice(scored[: max(1, round(ELITE * len(scored)))]).request.config


def _best_by_count(past: Sequence[Recorded]) -> list[tuple[int, float, int, Config]]:
    """A heap of the best configurations by mean score: trainings so far, mean, first index, configuration."""
    scores: dict[str, list[float]] = {}
    first: dict[str, Recorded] = {}
    for row in past:
        if row.bpb is not None:
            name = digest(row.request.config)
            first.setdefault(name, row)
            scores.setdefault(name, []).append(row.bpb)
    ranked = sorted((fmean(s), first[name].index, name) for name, s in scores.items())
    best = ranked[: max(1, round(BEST * len(ranked)))]
    return sorted((len(scores[name]), mean, index, first[name].request.config) for mean, index, name in best)


def _least_often(again: list[tuple[int, float, int, Config]]) -> Config:
    """The configuration trained least often, the best of those; it counts as trained once more."""
    count, mean, index, config = again[0]
    heapq.heapreplace(again, (count + 1, mean, index, config))
    return config


def _repeated(rng: random.Random, past: Sequence[Recorded]) -> Config:
    """One of 1 in 25 earlier trainings (so that each is repeated several times), the baseline now and then."""
    if rng.random() < 0.05:
        return {}
    chosen = [r for r in past if r.index % 25 == 0 and r.stage != "repeat"]
    return rng.choice(chosen).request.config


def _stepped(space: Space, rng: random.Random, base: Config) -> Config:
    changes = min(len(space), round(MOST_CHANGES ** rng.random()))
    scale = STEPS[0] * (STEPS[1] / STEPS[0]) ** rng.random()
    defaults = space.defaults()
    moved = {k.name: _moved(k, rng, base.get(k.name, k.default), scale) for k in rng.sample(space.knobs, changes)}
    return effective(base, moved, defaults)


def _moved(knob: Knob, rng: random.Random, value: Value, scale: float) -> Value:
    if not knob.numeric:
        return rng.choice([c for c in knob.choices if c != value])
    unit = knob.to_unit(value) + rng.gauss(0.0, scale)
    return knob.from_unit(-unit if unit < 0 else 2 - unit if unit > 1 else unit)
