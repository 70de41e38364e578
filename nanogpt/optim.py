"""AdamW and Muon over flat memory.

All parameters of a model live in one float32 vector, all gradients in another; each parameter is a view. So an
AdamW group is one tensor and one kernel, zeroing the gradients and taking their norm is one call, and a small
model does not drown in per-tensor overhead. Muon works on the views, stacked by shape into batched products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nanogpt.knobs import Config
from nanogpt.model import GPT
from nanogpt.presets import NEWTON_SCHULZ_STEPS, Shape, newton_schulz_flops

# Quintic iteration p(x) = a x + b x^3 + c x^5 that drives singular values in (0, 1] to about 1 in five steps.
# Source: Jordan et al. 2024, kellerjordan.github.io/posts/muon (the coefficients maximize the slope at 0).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
# Liu et al. 2025, arXiv:2502.16982, section 2.2: 0.2 sqrt(max(m, n)) gives Muon's update AdamW's typical RMS.
MUON_RMS = 0.2
ADAM_EPS = 1e-8  # Kingma and Ba 2014; at 1e-6 and above it would act as a knob


@dataclass(frozen=True)
class Group:
    """One parameter group: who is in it and how it is trained. `muon` groups ignore the betas."""

    name: str
    lr: float
    betas: tuple[float, float]
    weight_decay: float
    muon: bool = False


def groups_of(config: Config) -> dict[str, Group]:
    """The groups by name, in the order in which they lie in memory."""
    betas = (config.beta1, config.beta2)
    value_betas = (config.value_embedding_beta1, config.value_embedding_beta2)
    muon = config.matrix_optimizer == "muon"
    groups = (
        Group("matrix", config.matrix_lr, betas, config.matrix_weight_decay, muon),
        Group("embedding", config.embedding_lr, (config.beta1, config.embedding_beta2),
              config.embedding_weight_decay),
        Group("value_embedding", config.embedding_lr, value_betas, config.value_embedding_weight_decay),
        Group("head", config.head_lr, betas, config.matrix_weight_decay),
        Group("scalar", config.scalar_lr, betas, 0.0),
    )  # fmt: skip
    return {group.name: group for group in groups}


def group_name(parameter_name: str, parameter: Tensor) -> str:
    """The group a parameter belongs to, by its name in the model."""
    if parameter_name.endswith("value_table"):
        return "value_embedding"
    if parameter_name in ("token_table", "position_table"):
        return "embedding"
    if parameter_name == "head":
        return "head"
    return "scalar" if parameter.dim() < 2 or parameter_name.endswith("value_gate") else "matrix"


def newton_schulz(stack: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly, of each matrix in `stack` (N, m, n).

    bfloat16 on CUDA (the iteration is stable there, by Jordan et al.), float32 elsewhere.
    """
    a, b, c = NEWTON_SCHULZ
    x = stack.bfloat16() if stack.is_cuda else stack
    tall = x.size(1) > x.size(2)
    x = x.transpose(1, 2) if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = torch.bmm(x, x.transpose(1, 2))
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return (x.transpose(1, 2) if tall else x).to(stack.dtype)


def _row_blocks(shape: Shape, config: Config, name: str, parameter: Tensor) -> tuple[int, ...]:
    """Rows of the separate matrices that one parameter holds (see Attention.qkv and MLP.up)."""
    if name.endswith(".qkv"):
        kv = shape.kv_heads * shape.head_dim
        return (shape.heads * shape.head_dim, kv, kv)
    if name.endswith(".up") and config.activation == "swiglu":
        return (shape.hidden, shape.hidden)
    return (parameter.size(0),)


class AdamW:
    """Adam with decoupled weight decay (arXiv:1711.05101, algorithm 2) on one flat vector.

    Calls PyTorch's fused kernel itself, where there is one: `torch.optim.AdamW` does the same, but costs a small
    model 50 microseconds a step in Python and a fresh process 0.7 s of imports at its first step.
    """

    def __init__(self, group: Group, flat: Tensor, grad: Tensor) -> None:
        self.group, self.flat, self.grad = group, flat, grad
        self.mean, self.square = torch.zeros_like(flat), torch.zeros_like(flat)
        self.count = torch.zeros((), dtype=torch.float32, device=flat.device)

    @torch.no_grad()
    def step(self, factor: float, fused: bool = hasattr(torch, "_fused_adamw_")) -> None:
        """One update at `factor` times the peak learning rate."""
        lr, (beta1, beta2), decay = self.group.lr * factor, self.group.betas, self.group.weight_decay
        self.count += 1
        if fused:
            torch._fused_adamw_(
                [self.flat], [self.grad], [self.mean], [self.square], [], [self.count], lr=lr, beta1=beta1,
                beta2=beta2, weight_decay=decay, eps=ADAM_EPS, amsgrad=False, maximize=False,
            )  # fmt: skip
            return
        steps = self.count.item()
        self.mean.lerp_(self.grad, 1 - beta1)
        self.square.mul_(beta2).addcmul_(self.grad, self.grad, value=1 - beta2)
        root = (self.square / (1 - beta2**steps)).sqrt_().add_(ADAM_EPS)
        self.flat.mul_(1 - lr * decay).addcdiv_(self.mean, root, value=-lr / (1 - beta1**steps))


class Muon:
    """Momentum, then orthogonalized (Jordan et al. 2024), scaled to AdamW's step (Liu et al. 2025, eq. 4).

    `flat` and `grad` are the group's slices of the flat memory; `matrices` are views of `flat` as (m, n).
    """

    def __init__(self, group: Group, momentum: float, flat: Tensor, grad: Tensor, sizes: list[tuple[int, int]]) -> None:
        self.group, self.momentum, self.flat, self.grad = group, momentum, flat, grad
        self.buffer = torch.zeros_like(flat)
        self.update = torch.zeros_like(flat)
        ends = torch.tensor([m * n for m, n in sizes]).cumsum(0).tolist()
        self.by_size: dict[tuple[int, int], list[Tensor]] = {}
        for (m, n), end in zip(sizes, ends, strict=True):
            view = self.update[end - m * n : end].view(m, n)
            self.by_size.setdefault((m, n), []).append(view)

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One update at `factor` times the peak learning rate."""
        lr = self.group.lr * factor
        self.buffer.lerp_(self.grad, 1 - self.momentum)
        torch.lerp(self.grad, self.buffer, self.momentum, out=self.update)  # Nesterov's look ahead
        for (m, n), views in self.by_size.items():
            orthogonal = newton_schulz(torch.stack(views)).mul_(MUON_RMS * math.sqrt(max(m, n)))
            torch._foreach_copy_(views, list(orthogonal.unbind()))
        self.flat.mul_(1 - lr * self.group.weight_decay).add_(self.update, alpha=-lr)


class Optimizer:
    """The optimizer of a whole model: lays its parameters out flat, then steps every group.

    `summed` is the gradient with room for one number more behind it: what ranks that share a training add up.
    """

    def __init__(self, model: GPT, shape: Shape, config: Config) -> None:
        self.groups = groups_of(config)
        members: dict[str, list[tuple[str, nn.Parameter]]] = {name: [] for name in self.groups}
        for name, parameter in model.named_parameters():
            members[group_name(name, parameter)].append((name, parameter))
        ordered = [p for group in members.values() for _, p in group]
        self.flat = torch.cat([p.detach().reshape(-1) for p in ordered])
        self.summed = self.flat.new_zeros(self.flat.numel() + 1)
        self.grad = self.summed[:-1]
        self._bind(ordered)
        self.muon: Muon | None = None
        self.adam: list[AdamW] = []
        for name, flat, grad in self._slices(members):
            group = self.groups[name]
            if group.muon:
                sizes = [(rows, p.size(1)) for n, p in members[name] for rows in _row_blocks(shape, config, n, p)]
                self.muon = Muon(group, config.muon_momentum, flat, grad, sizes)
            else:
                self.adam.append(AdamW(group, flat, grad))

    def _bind(self, parameters: list[nn.Parameter]) -> None:
        """Make every parameter and its gradient a view into the flat memory."""
        start = 0
        for p in parameters:
            end = start + p.numel()
            p.data = self.flat[start:end].view(p.shape)
            p.grad = self.grad[start:end].view(p.shape)
            start = end

    def _slices(self, members: dict[str, list[tuple[str, nn.Parameter]]]) -> Iterator[tuple[str, Tensor, Tensor]]:
        start = 0
        for name, group in members.items():
            end = start + sum(p.numel() for _, p in group)
            if end > start:
                yield name, self.flat[start:end], self.grad[start:end]
            start = end

    def step(self, factor: float, clip: float) -> None:
        """Clip the gradient to norm `clip`, update all parameters at `factor` times their peak rates, zero it."""
        norm = torch.linalg.vector_norm(self.grad)
        self.grad.mul_((clip / (norm + 1e-6)).clamp(max=1.0))
        for adam in self.adam:
            adam.step(factor)
        if self.muon is not None:
            self.muon.step(factor)
        self.grad.zero_()

    def flops_per_step(self) -> float:
        """FLOPs of Muon's orthogonalization in one step; AdamW's few per parameter are left out."""
        if self.muon is None:
            return 0.0
        return sum(newton_schulz_flops(m, n) * len(views) for (m, n), views in self.muon.by_size.items())
