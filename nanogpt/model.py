"""The GPT: one transformer whose plain configuration is nanoGPT's and whose knobs are today's small-GPT practice.

Plain (all knobs at their defaults): LayerNorm with gain and without bias, learned positions, exact GELU, no
biases, tied head, GPT-2 initialization. `micro.py` is the same model in pure Python and serves as its oracle.

Letters in shapes: B sequences, T tokens, C width, H heads, K key/value heads, D head size, V vocabulary.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nanogpt.knobs import Config
from nanogpt.presets import Shape

NORM_EPS = 1e-5  # PyTorch's and nanoGPT's value for LayerNorm
X0_START = 0.1  # nanochat's starting weight for the embedding that is added back in
GATE_CHANNELS = 16  # channels of the input that a value gate reads; modded-nanogpt reads 12, nanochat 32


def rms_norm(x: Tensor) -> Tensor:
    """x (..., C) over its root mean square, no gain (Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4)."""
    return F.rms_norm(x, (x.size(-1),), eps=NORM_EPS)


class Norm(nn.Module):
    """LayerNorm with a gain of shape (C,), or RMSNorm without parameters. (..., C) to (..., C)."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width)) if kind == "layernorm" else None

    def forward(self, x: Tensor) -> Tensor:
        if self.gain is None:
            return rms_norm(x)
        return F.layer_norm(x, (x.size(-1),), self.gain, None, NORM_EPS)


def rope_tables(sequence: int, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, 1, D/2) of position / base^(2i/D) (Su et al. 2021, arXiv:2104.09864, eq. 15)."""
    frequencies = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.outer(torch.arange(sequence, dtype=torch.float64), frequencies)[:, None, :]
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (B, T, heads, D) with its halves turned as pairs by the angles of its positions."""
    a, b = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def window_mask(sequence: int, window: int) -> Tensor:
    """(T, T), True where query row may see key column: itself and the `window - 1` tokens before it."""
    distance = torch.arange(sequence)[:, None] - torch.arange(sequence)[None, :]
    return (distance >= 0) & (distance < window)


class Attention(nn.Module):
    """Causal self-attention, (B, T, C) to (B, T, C).

    Queries, keys and values come from one matrix `qkv` ((H + 2K) D, C), whose row blocks Muon treats apart.
    A window shorter than the context goes to SDPA as a mask. On CUDA a mask means the memory-efficient kernel in
    place of flash attention: correct, and slower than a block-sparse kernel (FlexAttention) would be.
    """

    def __init__(self, shape: Shape, config: Config, layer: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = shape.heads, shape.kv_heads, shape.head_dim
        self.qk_norm = config.qk_norm
        rows = [heads * shape.head_dim for heads in (shape.heads, shape.kv_heads, shape.kv_heads)]
        self.qkv = nn.Parameter(torch.empty(sum(rows), shape.width))
        self.qkv_rows = tuple(rows)
        self.out = nn.Parameter(torch.empty(shape.width, rows[0]))
        self.value_table: nn.Parameter | None = None
        self.value_gate: nn.Parameter | None = None
        if shape.value_layers[layer]:
            self.value_table = nn.Parameter(torch.empty(shape.vocab, rows[2]))
            if config.value_embeddings == "gated":
                self.value_gate = nn.Parameter(torch.zeros(shape.kv_heads, min(GATE_CHANNELS, shape.width)))

    def _values(self, v: Tensor, x: Tensor, tokens: Tensor) -> Tensor:
        """v (B, T, K, D) plus the token's value embedding, gated by 2 sigmoid(linear(x)), which starts at 1."""
        if self.value_table is None:
            return v
        extra = F.embedding(tokens, self.value_table).view_as(v)
        if self.value_gate is not None:
            gate = 2 * torch.sigmoid(F.linear(x[..., : self.value_gate.size(1)], self.value_gate))
            extra = extra * gate.unsqueeze(-1)
        return v + extra.to(v.dtype)

    def forward(self, x: Tensor, tokens: Tensor, rope: tuple[Tensor, Tensor] | None, mask: Tensor | None) -> Tensor:
        batch, length, _ = x.shape
        both = self.heads + self.kv_heads
        heads = F.linear(x, self.qkv).view(batch, length, both + self.kv_heads, self.head_dim)
        qk, v = heads[:, :, :both], heads[:, :, both:]
        if self.qk_norm:
            qk = rms_norm(qk)
        if rope is not None:
            qk = rotate(qk, *rope)
        v = self._values(v, x, tokens)
        y = attend(qk[:, :, : self.heads], qk[:, :, self.heads :], v, mask)
        return F.linear(y.reshape(batch, length, self.heads * self.head_dim), self.out)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q k' / sqrt(D)) v under a causal mask, or under `mask` (T, T) if given.

    q (B, T, H, D), k and v (B, T, K, D), H a multiple of K; returns (B, T, H, D).
    """
    # Under autocast a norm or RoPE may have left queries and keys in float32; flash attention wants one type.
    q, k, v = q.to(v.dtype).transpose(1, 2), k.to(v.dtype).transpose(1, 2), v.transpose(1, 2)
    y = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=q.size(1) != k.size(1)
    )
    return y.transpose(1, 2)


class MLP(nn.Module):
    """(B, T, C) to (B, T, C) through `hidden` units. SwiGLU keeps gate and value rows in one matrix `up`."""

    def __init__(self, shape: Shape, config: Config) -> None:
        super().__init__()
        self.activation = config.activation
        pieces = 2 if config.activation == "swiglu" else 1
        self.up = nn.Parameter(torch.empty(pieces * shape.hidden, shape.width))
        self.up_rows = (shape.hidden,) * pieces
        self.down = nn.Parameter(torch.empty(shape.width, shape.hidden))

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.up)
        if self.activation == "gelu":
            x = F.gelu(x)
        elif self.activation == "relu2":
            x = F.relu(x).square()
        else:
            gate, value = x.chunk(2, dim=-1)
            x = F.silu(gate) * value
        return F.linear(x, self.down)


class Block(nn.Module):
    """Pre-norm residual block: attention, then MLP."""

    def __init__(self, shape: Shape, config: Config, layer: int) -> None:
        super().__init__()
        self.attention_norm = Norm(shape.width, config.norm)
        self.attention = Attention(shape, config, layer)
        self.mlp_norm = Norm(shape.width, config.norm)
        self.mlp = MLP(shape, config)

    def forward(self, x: Tensor, tokens: Tensor, rope: tuple[Tensor, Tensor] | None, mask: Tensor | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), tokens, rope, mask)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class GPT(nn.Module):
    """The whole model. Call it with tokens and targets (B, T) for the mean training loss in nats."""

    rope_cos: Tensor | None
    rope_sin: Tensor | None
    short_mask: Tensor | None

    def __init__(self, shape: Shape, config: Config) -> None:
        super().__init__()
        self.shape, self.config = shape, config
        self.token_table = nn.Parameter(torch.empty(shape.vocab, shape.width))
        learned = config.position == "learned"
        self.position_table = nn.Parameter(torch.empty(shape.sequence, shape.width)) if learned else None
        self.blocks = nn.ModuleList(Block(shape, config, layer) for layer in range(shape.depth))
        self.final_norm = Norm(shape.width, config.norm)
        self.head = None if config.tied_head else nn.Parameter(torch.empty(shape.vocab, shape.width))
        self.residual_lambdas = nn.Parameter(torch.ones(shape.depth)) if config.residual_lambdas else None
        self.x0_lambdas = nn.Parameter(torch.full((shape.depth,), X0_START)) if config.x0_lambdas else None
        self._add_tables()

    def _add_tables(self) -> None:
        rope = rope_tables(self.shape.sequence, self.shape.head_dim, self.config.rope_base)
        for name, table in zip(("rope_cos", "rope_sin"), rope, strict=True):
            self.register_buffer(name, table if self.config.position == "rope" else None, persistent=False)
        short = min(self.shape.windows)
        mask = window_mask(self.shape.sequence, short) if short < self.shape.sequence else None
        self.register_buffer("short_mask", mask, persistent=False)

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> None:
        """Draw all weights from `generator` (on the CPU, so that a seed means the same on every device)."""
        config = self.config
        residual_std = config.init_std
        if config.residual_init != "plain":
            # GPT-2: 2 residual additions per layer, so variance grows with 2 x depth unless divided out.
            residual_std = config.init_std / math.sqrt(2 * self.shape.depth) if config.residual_init == "scaled" else 0
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2 or name.endswith("value_gate"):
                continue  # gains, lambdas and gates are built with their starting values
            embedding = name.endswith("_table")
            residual = name.endswith((".out", ".down"))
            std = config.embedding_std if embedding else residual_std if residual else config.init_std
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)

    def logits(self, tokens: Tensor) -> Tensor:
        """(B, T) token numbers to (B, T, V) float32 logits of the next token."""
        length = tokens.size(1)
        x = F.embedding(tokens, self.token_table)
        if self.position_table is not None:
            x = x + self.position_table[:length]
        rope = None
        if self.rope_cos is not None and self.rope_sin is not None:
            rope = (self.rope_cos[:length], self.rope_sin[:length])
        short_mask = None if self.short_mask is None else self.short_mask[:length, :length]
        if self.config.norm == "rmsnorm":
            x = rms_norm(x)  # without a gain nothing else sets the stream's scale (nanochat does the same)
        x0 = x
        for layer, block in enumerate(self.blocks):
            if self.residual_lambdas is not None:
                x = x * self.residual_lambdas[layer]
            if self.x0_lambdas is not None:
                x = x + x0 * self.x0_lambdas[layer]
            short = self.shape.windows[layer] < self.shape.sequence
            x = block(x, tokens, rope, short_mask if short else None)
        out = F.linear(self.final_norm(x), self.token_table if self.head is None else self.head).float()
        cap = self.config.logit_softcap
        return cap * torch.tanh(out / cap) if cap > 0 else out

    def nats(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of each target in nats, (B, T): what the metric is made of."""
        out = self.logits(tokens)
        return F.cross_entropy(out.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)

    def forward(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """(loss to minimize, plain mean cross-entropy), both scalars in nats; they differ by the z-loss."""
        out = self.logits(tokens).flatten(0, 1)
        cross_entropy = F.cross_entropy(out, targets.flatten())
        if self.config.z_loss == 0:
            return cross_entropy, cross_entropy.detach()
        z_loss = out.logsumexp(-1).square().mean()
        return cross_entropy + self.config.z_loss * z_loss, cross_entropy.detach()
