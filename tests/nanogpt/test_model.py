"""The model: causality under every variant, and each variant against a plain formula."""

from __future__ import annotations

import math

import pytest
import torch

from nanogpt.knobs import Value, resolve
from nanogpt.model import GPT, attend, rope_tables, rotate, window_mask
from nanogpt.presets import PRESETS, shape_of

VARIANTS: list[dict[str, Value]] = [
    {},
    {"position": "rope"},
    {"position": "rope", "qk_norm": True, "norm": "rmsnorm", "head_dim": "half"},
    {"window_pattern": "SL"},
    {"window_pattern": "SSSL", "depth_scale": 2.0, "position": "rope"},
    {"queries_per_kv": 2},
    {"queries_per_kv": 2, "window_pattern": "SL", "value_embeddings": "gated"},
    {"value_embeddings": "plain", "x0_lambdas": True, "residual_lambdas": True},
    {"activation": "swiglu", "tied_head": False, "logit_softcap": 5.0},
]


def build(knobs: dict[str, Value], std: float = 0.3) -> GPT:
    """A cpu-micro model with weights large enough for every path to matter."""
    config = resolve(knobs)
    model = GPT(shape_of(config, PRESETS["cpu-micro"], vocab=256), config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
    return model


@pytest.mark.parametrize("knobs", VARIANTS, ids=str)
def test_no_token_sees_the_future(knobs: dict[str, Value]) -> None:
    model = build(knobs)
    tokens = torch.randint(256, (2, 32), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = model.logits(tokens)
        for place in (1, 15, 31):
            changed = tokens.clone()
            changed[:, place:] = (changed[:, place:] + 1) % 256
            after = model.logits(changed)
            torch.testing.assert_close(after[:, :place], before[:, :place], rtol=1e-5, atol=1e-5)
            assert not torch.allclose(after[:, place:], before[:, place:], atol=1e-3)


@pytest.mark.parametrize("knobs", VARIANTS, ids=str)
def test_mixed_precision_stays_close(knobs: dict[str, Value]) -> None:
    """What CUDA trains in, on the CPU: bf16 products over float32 weights."""
    model = build(knobs, std=0.1)
    tokens = torch.randint(256, (2, 32), generator=torch.Generator().manual_seed(2))
    exact, _ = model(tokens, tokens)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = model(tokens, tokens)
    loss.backward()
    assert loss.item() == pytest.approx(exact.item(), rel=0.02)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_short_window_forgets() -> None:
    model = build({"window_pattern": "SL", "depth_scale": 0.5})  # one layer, which is the last and so long
    assert model.shape.windows == (32,)
    q, k, v = (torch.randn(1, 32, 2, 8, generator=torch.Generator().manual_seed(n)) for n in range(3))
    mask = window_mask(32, 8)
    far = v.clone()
    far[:, :10] += 100.0
    change = (attend(q, k, far, mask) - attend(q, k, v, mask)).abs().amax(dim=(0, 2, 3))
    assert (change[:17] > 0).all()
    assert (change[17:] == 0).all()  # position 17 sees 10 to 17


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("window", [0, 5])
def test_attention_is_its_formula(kv_heads: int, window: int) -> None:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(2, 12, 4, 8, generator=generator)
    k, v = (torch.randn(2, 12, kv_heads, 8, generator=generator) for _ in range(2))
    mask = window_mask(12, window) if window else None
    out = attend(q, k, v, mask)
    for t in range(12):
        first = max(0, t - window + 1) if window else 0
        for head in range(4):
            shared = head * kv_heads // 4
            keys, values = k[:, first : t + 1, shared], v[:, first : t + 1, shared]
            shares = (keys @ q[:, t, head, :, None] / math.sqrt(8)).softmax(dim=1)
            torch.testing.assert_close(out[:, t, head], (shares * values).sum(1), rtol=1e-4, atol=1e-5)


def test_rope_depends_on_distance_only() -> None:
    cos, sin = rope_tables(16, 8, base=100.0)
    a, b = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    ra, rb = (rotate(x.expand(1, 16, 1, 8), cos, sin) for x in (a, b))
    torch.testing.assert_close((ra[:, 3] * rb[:, 5]).sum(), (ra[:, 9] * rb[:, 11]).sum())
    torch.testing.assert_close(ra.norm(dim=-1), a.norm(dim=-1).expand(1, 16, 1))


def test_z_loss_is_in_the_loss_and_not_in_the_score() -> None:
    model = build({"z_loss": 0.01})
    tokens = torch.randint(256, (2, 32), generator=torch.Generator().manual_seed(2))
    loss, cross_entropy = model(tokens, tokens)
    z = model.logits(tokens).logsumexp(-1).square().mean()
    torch.testing.assert_close(loss, cross_entropy + 0.01 * z)
    torch.testing.assert_close(model.nats(tokens, tokens).mean(), cross_entropy)


def test_softcap_bounds_the_logits() -> None:
    tokens = torch.zeros(1, 4, dtype=torch.long)
    assert build({"logit_softcap": 3.0}).logits(tokens).abs().max() <= 3.0


def test_initialization_follows_its_knobs() -> None:
    config = resolve({"init_std": 0.05, "embedding_std": 0.3, "depth_scale": 2.0})
    model = GPT(shape_of(config, PRESETS["cpu-tiny"], vocab=256), config)
    model.initialize(torch.Generator().manual_seed(0))
    block = model.blocks[0]
    assert model.token_table.std().item() == pytest.approx(0.3, rel=0.05)
    assert block.mlp.up.std().item() == pytest.approx(0.05, rel=0.05)
    assert block.mlp.down.std().item() == pytest.approx(0.05 / math.sqrt(12), rel=0.05)
    zero = GPT(shape_of(config, PRESETS["cpu-tiny"], vocab=256), resolve({"residual_init": "zero"}))
    zero.initialize(torch.Generator().manual_seed(0))
    assert zero.blocks[0].attention.out.abs().max() == 0
