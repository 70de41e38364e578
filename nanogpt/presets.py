"""Presets: how large a training is, and the shape that a configuration takes at that size.

A preset fixes the base dimensions, the budget and how much is read for evaluation; the knobs then scale the
dimensions. `shape_of` does that arithmetic, including the floating-point operations a budget is counted in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from nanogpt.knobs import Config, nearest

NEWTON_SCHULZ_STEPS: Final = 5  # Jordan et al. 2024, kellerjordan.github.io/posts/muon


class PresetError(ValueError):
    """A preset that does not exist."""


@dataclass(frozen=True)
class Budget:
    """How much one training may spend: `amount` of `kind`, which is "flops", "tokens", "steps" or "seconds".

    All but "seconds" give the same number of steps on every machine. Seconds are counted from the end of the
    first step, so that compilation does not eat the budget (it is still part of the result's `seconds`).
    """

    kind: str
    amount: float

    def __post_init__(self) -> None:
        if self.kind not in ("flops", "tokens", "steps", "seconds"):
            raise ValueError(f"budget kind: found {self.kind!r}, expected flops, tokens, steps or seconds")
        if not (math.isfinite(self.amount) and self.amount > 0):
            raise ValueError(f"budget amount: found {self.amount!r}, expected a number above 0")


@dataclass(frozen=True)
class Preset:
    """One size of training. Dimensions are those at knob scale 1; windows are sequences of `sequence` tokens.

    `micro_batch` bounds the sequences in one forward pass; larger batches accumulate gradients.
    `curve_windows` are read for each point of the learning curve, `final_windows` for each final score.
    """

    name: str
    meaning: str
    depth: int
    width: int
    head_dim: int
    sequence: int
    batch: int
    micro_batch: int
    budget: Budget
    curve_windows: int
    final_windows: int


@dataclass(frozen=True)
class Shape:
    """The actual dimensions of one model and its batch: what `Config` and `Preset` come to.

    `value_layers[i]` says whether layer i has value embeddings; `windows[i]` is its attention span in tokens.
    """

    vocab: int
    depth: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    sequence: int
    batch: int
    windows: tuple[int, ...]
    value_layers: tuple[bool, ...]


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType({
    preset.name: preset
    for preset in (
        Preset(
            "cpu-micro", "a fraction of a second on one core: for tests, too small to mean anything",
            depth=2, width=32, head_dim=16, sequence=32, batch=16, micro_batch=64,
            budget=Budget("flops", 4e9), curve_windows=16, final_windows=64,
        ),
        Preset(
            "cpu-tiny", "about 1.5 s on one core: a real signal on a laptop",
            depth=3, width=64, head_dim=16, sequence=64, batch=16, micro_batch=64,
            budget=Budget("flops", 1e11), curve_windows=32, final_windows=256,
        ),
        Preset(
            "gpu-small", "about 30 s on an H100-class GPU",
            depth=8, width=512, head_dim=64, sequence=512, batch=128, micro_batch=128,
            budget=Budget("flops", 4e15), curve_windows=128, final_windows=1024,
        ),
        Preset(
            "gpt2", "GPT-2 small (124M with a GPT-2 vocabulary), five minutes of training",
            depth=12, width=768, head_dim=64, sequence=1024, batch=512, micro_batch=32,
            budget=Budget("seconds", 300.0), curve_windows=256, final_windows=2048,
        ),
    )
})  # fmt: skip


def preset(name: str) -> Preset:
    """The preset called `name`; raises PresetError naming the nearest."""
    if name not in PRESETS:
        hint = nearest(name, PRESETS)
        raise PresetError(f"unknown preset '{name}'{hint}; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _attention_windows(pattern: str, depth: int, sequence: int) -> tuple[int, ...]:
    spans = {"S": max(1, sequence // 4), "L": sequence}
    windows = [spans[pattern[layer % len(pattern)]] for layer in range(depth)]
    return (*windows[:-1], sequence)


def _divisor_at_most(n: int, limit: int) -> int:
    return max(d for d in range(1, n + 1) if n % d == 0 and d <= max(1, limit))


def shape_of(config: Config, preset: Preset, vocab: int) -> Shape:
    """The dimensions of `config` at the size of `preset` for a vocabulary of `vocab` tokens. Always valid.

    The width is a whole number of heads; a batch above `micro_batch` is a whole number of micro-batches.
    """
    head_dim = {"half": preset.head_dim // 2, "base": preset.head_dim, "double": preset.head_dim * 2}[config.head_dim]
    heads = max(1, round(preset.width * config.width_scale / head_dim))
    depth = max(1, round(preset.depth * config.depth_scale))
    hidden = heads * head_dim * config.mlp_ratio * (2 / 3 if config.activation == "swiglu" else 1)
    batch = max(1, round(preset.batch * config.batch_scale))
    if batch > preset.micro_batch:
        batch = round(batch / preset.micro_batch) * preset.micro_batch
    return Shape(
        vocab=vocab, depth=depth, width=heads * head_dim, heads=heads,
        kv_heads=_divisor_at_most(heads, heads // config.queries_per_kv), head_dim=head_dim,
        hidden=max(8, 8 * round(hidden / 8)), sequence=preset.sequence, batch=batch,
        windows=_attention_windows(config.window_pattern, depth, preset.sequence),
        value_layers=tuple(config.value_embeddings != "off" and (depth - 1 - i) % 2 == 0 for i in range(depth)),
    )  # fmt: skip


def flops_per_token(shape: Shape, config: Config) -> float:
    """Training FLOPs per token: 6 per matrix weight plus 12 x heads x head size x span for attention, per layer.

    Source: PaLM, arXiv:2204.02311, appendix B (model FLOPs, forward and backward; embedding look-ups are free).
    """
    attention = shape.heads * shape.head_dim
    mlp_matrices = 3 if config.activation == "swiglu" else 2
    projections = 2 * shape.width * attention + 2 * shape.width * shape.kv_heads * shape.head_dim
    per_layer = projections + mlp_matrices * shape.width * shape.hidden
    spans = sum(12 * attention * window for window in shape.windows)
    return 6.0 * (shape.depth * per_layer + shape.width * shape.vocab) + spans


def newton_schulz_flops(rows: int, columns: int) -> float:
    """FLOPs of Muon's orthogonalization of one matrix: per step, two products m x m x n and one m x m x m."""
    m, n = sorted((rows, columns))
    return NEWTON_SCHULZ_STEPS * 2.0 * (2 * m * m * n + m**3)


def muon_flops_per_step(shape: Shape, config: Config) -> float:
    """FLOPs that Muon spends on orthogonalizing all block matrices in one step; 0 under AdamW."""
    if config.matrix_optimizer != "muon":
        return 0.0
    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    ups = 2 if config.activation == "swiglu" else 1
    matrices = ((q, 2), (kv, 2), (shape.hidden, ups + 1))  # (queries, out), (keys, values), (up, gate, down)
    return shape.depth * sum(count * newton_schulz_flops(rows, shape.width) for rows, count in matrices)
