"""What a training is asked for and what it answers: plain, frozen records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nanogpt.prepare import SPLITS

STATES: Final = ("ok", "stopped", "diverged", "oom", "timeout", "crash")


class Ended(Exception):
    """A training that ends early, with its final state."""

    def __init__(self, state: str, message: str) -> None:
        super().__init__(message)
        self.state, self.message = state, message


@dataclass(frozen=True)
class StopRule:
    """Stop at the first curve point at or past `fraction` of the budget if its val bpb is above `bpb_at_most`.

    A training that has reached its end is scored, not stopped: there is nothing left to save.
    """

    fraction: float
    bpb_at_most: float


@dataclass(frozen=True)
class TrainRequest:
    """One training. `knobs` are overrides of the defaults; `score_on` names the splits to score at the end.

    `budget_fraction` trains on that share of the preset's budget, with the schedule fitted to it: a small
    complete training. `time_limit_s` is wall-clock seconds, start-up included.
    """

    preset: str
    knobs: Mapping[str, float | int | bool | str] = field(default_factory=dict)
    seed: int = 0
    score_on: tuple[str, ...] = ("val",)
    budget_fraction: float = 1.0
    stop: StopRule | None = None
    time_limit_s: float | None = None


def validate(request: TrainRequest) -> None:
    """Raises ValueError for a request that makes no sense whatever the configuration."""
    unknown = [split for split in request.score_on if split not in SPLITS]
    if unknown:
        raise ValueError(f"unknown split '{unknown[0]}'; expected some of {', '.join(SPLITS)}")
    if not 0 < request.budget_fraction <= 1:
        raise ValueError(f"budget_fraction: found {request.budget_fraction}, expected above 0, at most 1")


@dataclass(frozen=True)
class CurvePoint:
    """Where a training stands at `fraction` of its budget.

    `train_loss` is the mean training cross-entropy since the last point, in nats per token; `val_bpb` is read on
    a small fixed part of val. Everything but `seconds` repeats exactly on the CPU.
    """

    fraction: float
    step: int
    tokens: int
    flops: float
    seconds: float
    train_loss: float
    val_bpb: float


@dataclass(frozen=True)
class TrainResult:
    """How a training ended. `state` is one of `STATES`; `bpb` maps split to bits per byte, only if it is "ok".

    `seconds` is all of it: start-up, compilation, training, evaluation; `cpu_seconds` is the processor time that this
    process spent meanwhile, which other processes cannot inflate by taking turns. `startup_seconds` is until the
    first step (on CUDA until the end of the first step, which compiles). `peak_bytes` is the device's peak allocation
    on CUDA and the process's peak resident size elsewhere, earlier trainings of a warm process included. Where ranks
    share a training, times and memory are those of the first; tokens and FLOPs are those of all together.
    """

    state: str
    bpb: Mapping[str, float]
    curve: tuple[CurvePoint, ...]
    seconds: float
    cpu_seconds: float
    startup_seconds: float
    steps: int
    tokens: int
    flops: float
    parameters: int
    peak_bytes: int
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers, ready for JSON."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return fields | {"bpb": dict(self.bpb), "curve": [dataclasses.asdict(point) for point in self.curve]}

    def summary(self) -> str:
        """`key: value` lines; `SPLIT_bpb` lines only for a training that ended well."""
        values: dict[str, object] = {"state": self.state}
        values |= {f"{split}_bpb": f"{score:.6f}" for split, score in self.bpb.items()}
        values |= {"seconds": f"{self.seconds:.3f}", "startup_seconds": f"{self.startup_seconds:.3f}"}
        values |= {"steps": self.steps, "tokens": self.tokens, "flops": f"{self.flops:.4g}"}
        values |= {"parameters": self.parameters, "peak_mib": f"{self.peak_bytes / 2**20:.1f}"}
        if self.message:
            values["message"] = self.message
        return "\n".join(f"{key}: {value}" for key, value in values.items())
