"""The nanoGPT target behind the trainer seam: real training."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, cast

from metaloop.execution.sandbox import fingerprints
from metaloop.execution.trainer import Target, TrainerSpec
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult
from metaloop.vocabulary.space import Knob, Value
from nanogpt import knobs as target_knobs
from nanogpt import presets

if TYPE_CHECKING:
    from metaloop.execution.nanogpt_group import DeviceGroup
    from metaloop.execution.sandbox.training import Sandbox
    from nanogpt.prepare import Corpus
    from nanogpt.results import TrainRequest, TrainResult

LONGEST_S = {"cpu-micro": 60.0, "cpu-tiny": 120.0, "gpu-small": 600.0, "gpt2": 1800.0}
"""Device seconds after which a training of a preset counts as hung: far above the slowest honest configuration
(a doubled depth and width on a busy core measures below a tenth of it)."""


EDITABLE = tuple(f"nanogpt/{name}.py" for name in ("feed", "model", "optim", "schedule", "train"))
"""What experiments may change. Data, metric, knobs, sizes and budgets are the harness's."""


def describe(spec: TrainerSpec) -> Target:
    """Describe the preset without importing torch; prepares the data once, so that trainers find it ready."""
    from nanogpt.prepare import load_corpus

    try:
        presets.preset(spec.preset)
        corpus = load_corpus(spec.data)
    except ValueError as error:
        raise TrainerError(f"{error}.") from None
    identity = {
        "trainer": "nanogpt",
        "preset": spec.preset,
        "data": spec.data,
        "data_hash": corpus.manifest_hash,
        "evaluator": fingerprints.evaluator(),
        "torch": version("torch"),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    editable = EDITABLE if spec.devices == 1 else ()  # the sandbox holds changed code on one device
    return Target(spec, knobs(), identity, sources(), LONGEST_S.get(spec.preset, 1800.0), editable)


def sources() -> dict[str, str]:
    """The target's own code, by path from the repository's root."""
    package = Path(presets.__file__).parent
    return {f"{package.name}/{file.name}": file.read_text() for file in sorted(package.glob("*.py"))}


def knobs() -> tuple[Knob, ...]:
    """The target's knobs in metaloop's words."""
    return tuple(
        Knob(
            name=k.name,
            group=k.group,
            kind=k.kind,  # type: ignore[arg-type]
            default=k.default,
            low=k.low,
            high=k.high,
            log=k.log,
            choices=(False, True) if k.kind == "bool" else tuple(k.choices),
            meaning=k.meaning,
            source=k.source,
        )
        for k in target_knobs.KNOBS.values()
    )


class Sizes(NamedTuple):
    """What a configuration comes to at a preset: the model's shape, and how far the budget takes it.

    ``short_layers`` see a quarter of the context, ``value_layers`` have value embeddings; ``steps`` is infinite
    where the budget is counted in seconds.
    """

    depth: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    batch: int
    short_layers: int
    value_layers: int
    tokens_per_step: int
    flops_per_step: float
    steps: float


SHAPING = (
    "width_scale", "depth_scale", "head_dim", "mlp_ratio", "activation", "queries_per_kv", "window_pattern",
    "value_embeddings", "batch_scale", "matrix_optimizer",
)  # fmt: skip
"""The knobs that :func:`sizes` reads; a test checks that no other knob changes them."""


def sizes(config: Mapping[str, Value], preset: str, vocab: int, budget_fraction: float = 1.0) -> Sizes:
    """The sizes of ``config`` (every knob named and valid) on a corpus of ``vocab`` tokens; never imports torch."""
    return _sizes(tuple(config[name] for name in SHAPING), preset, vocab, budget_fraction)


@lru_cache(maxsize=4096)
def _sizes(values: tuple[Value, ...], preset: str, vocab: int, budget_fraction: float) -> Sizes:
    base = presets.preset(preset)
    settings = cast(target_knobs.Config, SimpleNamespace(**dict(zip(SHAPING, values, strict=True))))
    shape = presets.shape_of(settings, base, vocab)
    tokens = shape.batch * shape.sequence
    flops = tokens * presets.flops_per_token(shape, settings) + presets.muon_flops_per_step(shape, settings)
    per_step = {"steps": 1.0, "tokens": float(tokens), "flops": flops}.get(base.budget.kind, 0.0)
    steps = max(1, round(base.budget.amount * budget_fraction / per_step)) if per_step else math.inf
    return Sizes(
        shape.depth, shape.width, shape.heads, shape.kv_heads, shape.head_dim, shape.hidden, shape.batch,
        sum(window < shape.sequence for window in shape.windows), sum(shape.value_layers), tokens, flops, steps,
    )  # fmt: skip


class NanogptTrainer:
    """Trains in this process, on one CPU core or on the process's CUDA device, with followers on further ones where it
    has a ``group``; changed code in a sandbox beside it, on one device. Stays warm between requests."""

    def __init__(self, spec: TrainerSpec, corpus: Corpus, device: str, group: DeviceGroup | None = None) -> None:
        self._spec = spec
        self._corpus = corpus
        self._device = device
        self._group = group
        self._sandbox: Sandbox | None = None

    def train(self, request: TrainingRequest) -> TrainingResult:
        if request.code and self._group is not None:
            return TrainingResult("crash", 0.0, message="changed code is trained on one device, got a group of them")
        return self.sandbox().train(request) if request.code else self._plain(request)

    def sandbox(self) -> Sandbox:
        """Where changed code is trained; its process starts at the first such training."""
        from metaloop.execution.sandbox.records import Limits
        from metaloop.execution.sandbox.training import Sandbox

        if self._sandbox is None:
            longest_s = LONGEST_S.get(self._spec.preset, 1800.0)
            limits = Limits(gpu=self._device == "cuda")
            self._sandbox = Sandbox(self._spec.preset, self._corpus, self._device, longest_s, EDITABLE, limits)
        return self._sandbox

    def _plain(self, request: TrainingRequest) -> TrainingResult:
        from nanogpt.train import StopRule, TrainRequest

        stop = StopRule(request.stop.fraction, request.stop.bpb_at_most) if request.stop else None
        result = self._trained(
            TrainRequest(
                preset=self._spec.preset,
                knobs=request.config,
                seed=request.seed,
                score_on=request.score_on,
                budget_fraction=request.budget_fraction,
                stop=stop,
                time_limit_s=LONGEST_S.get(self._spec.preset, 1800.0) / 2,
            )
        )
        return TrainingResult(
            state=result.state,  # type: ignore[arg-type]
            seconds=result.seconds,
            bpb=dict(result.bpb),
            curve=tuple(CurvePoint(p.fraction, p.seconds, p.val_bpb) for p in result.curve),
            steps=result.steps,
            tokens=result.tokens,
            flops=result.flops,
            message=result.message,
            cpu_seconds=result.cpu_seconds,
        )

    def _trained(self, request: TrainRequest) -> TrainResult:
        from nanogpt.train import train

        if self._group is not None:
            return self._group.train(request, self._corpus, self._device)
        return train(request, self._corpus, self._device)


def make(spec: TrainerSpec, gpu: bool) -> NanogptTrainer:
    """A warm trainer: torch is imported and a first small training has been done, so that the first experiment
    does not pay for what the process needs once.

    Raises:
        TrainerError: the devices of a group do not find together.
    """
    import torch

    from metaloop.execution.nanogpt_group import DeviceGroup, GroupTerms, end_process
    from nanogpt.prepare import load_corpus

    torch.set_num_threads(1)
    corpus, group = load_corpus(spec.data), None
    if spec.devices > 1:
        terms = GroupTerms(spec.data, spec.devices, LONGEST_S.get(spec.preset, 1800.0), cuda=gpu)
        group = DeviceGroup(terms, on_loss=end_process)
    trainer = NanogptTrainer(spec, corpus, "cuda" if gpu else "cpu", group)
    trainer.train(TrainingRequest({}, seed=0, budget_fraction=0.02))
    return trainer
