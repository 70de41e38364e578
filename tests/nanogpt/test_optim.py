"""The optimizers against PyTorch's and against linear algebra."""

from __future__ import annotations

import pytest
import torch

from nanogpt.knobs import Value, resolve
from nanogpt.model import GPT
from nanogpt.optim import AdamW, Group, Optimizer, newton_schulz, newton_schulz_flops
from nanogpt.presets import PRESETS, shape_of


@pytest.mark.parametrize("fused", [False, True])
def test_adamw_is_pytorchs(fused: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(1000, generator=generator)
    theirs = torch.nn.Parameter(start.clone())
    reference = torch.optim.AdamW([theirs], lr=0.01, betas=(0.8, 0.9), weight_decay=0.3, eps=1e-8)
    flat, grad = start.clone(), torch.zeros(1000)
    ours = AdamW(Group("any", 0.02, (0.8, 0.9), 0.3), flat, grad)
    for _ in range(10):
        grad.copy_(torch.randn(1000, generator=generator))
        theirs.grad = grad.clone()
        reference.step()
        ours.step(0.5, fused=fused)
    torch.testing.assert_close(flat, theirs.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(16, 16), (16, 64), (64, 16)])
def test_newton_schulz_brings_singular_values_near_one(size: tuple[int, int]) -> None:
    stack = torch.randn(3, *size, generator=torch.Generator().manual_seed(0))
    out = newton_schulz(stack)
    values = torch.linalg.svdvals(out)
    assert values.min() > 0.3
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(stack, full_matrices=False)
    polar = u @ v  # the exact answer; directions agree even where the iteration stops short of 1
    assert (out * polar).sum() / out.norm() / polar.norm() > 0.97


def test_newton_schulz_of_zero_is_zero() -> None:
    assert newton_schulz(torch.zeros(1, 4, 8)).abs().max() == 0


def optimizer(knobs: dict[str, Value]) -> tuple[GPT, Optimizer]:
    config = resolve(knobs)
    shape = shape_of(config, PRESETS["cpu-micro"], vocab=256)
    model = GPT(shape, config)
    model.initialize(torch.Generator().manual_seed(0))
    return model, Optimizer(model, shape, config)


EVERYTHING: dict[str, Value] = {
    "matrix_optimizer": "muon", "value_embeddings": "gated", "tied_head": False, "x0_lambdas": True,
    "residual_lambdas": True, "activation": "swiglu", "queries_per_kv": 2,
}  # fmt: skip


@pytest.mark.parametrize("knobs", [{}, EVERYTHING], ids=["plain", "everything"])
def test_every_parameter_is_a_view_and_moves(knobs: dict[str, Value]) -> None:
    model, opt = optimizer(knobs)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    opt.grad.normal_(generator=torch.Generator().manual_seed(0))
    opt.step(1.0, clip=1e9)
    for name, parameter in model.named_parameters():
        assert parameter.untyped_storage().data_ptr() == opt.flat.untyped_storage().data_ptr()
        assert not torch.equal(parameter, before[name]), name
    assert opt.grad.abs().max() == 0


def test_groups_read_their_own_knobs() -> None:
    knobs = EVERYTHING | {"matrix_optimizer": "adamw", "value_embedding_weight_decay": 1.0, "embedding_lr": 0.5}
    model, opt = optimizer(knobs)
    table = model.blocks[-1].attention.value_table
    assert table is not None
    before, head = table.detach().clone(), model.head.detach().clone()
    opt.step(1.0, clip=1.0)  # gradients are zero, so only decay acts: 1 - 0.5 x 1.0, and 1 - 0.002 x 0.1
    torch.testing.assert_close(table.detach(), before * 0.5)
    torch.testing.assert_close(model.head.detach(), head * (1 - 0.002 * 0.1))


def test_clip_bounds_the_gradient() -> None:
    _, opt = optimizer({})
    seen: list[float] = []
    opt.adam = opt.adam[:1]
    opt.adam[0].step = lambda factor: seen.append(opt.grad.norm().item())  # type: ignore[method-assign]
    opt.grad.fill_(10.0)
    opt.step(1.0, clip=0.5)
    opt.grad.fill_(1e-6)
    small = opt.grad.norm().item()
    opt.step(1.0, clip=0.5)
    assert seen == pytest.approx([0.5, small], rel=1e-3)


def test_muon_flops_count_products() -> None:
    assert newton_schulz_flops(64, 16) == newton_schulz_flops(16, 64) == 5 * 2 * (2 * 16 * 16 * 64 + 16**3)
    _, opt = optimizer({"matrix_optimizer": "muon"})
    per_layer = 4 * newton_schulz_flops(32, 32) + 2 * newton_schulz_flops(32, 128)
    assert opt.flops_per_step() == 2 * per_layer
