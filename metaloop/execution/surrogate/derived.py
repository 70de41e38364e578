"""What a nanoGPT configuration comes to, as numbers that a regression can use: sizes, schedule, decay, momentum.

The knobs alone would make the surrogate learn arithmetic that is known: how many steps the FLOP budget allows, the
area under the learning-rate schedule, which knobs are switched off. Every number here is computed from a
configuration in which each knob is named; all are of order 1 to 10, since the fit standardizes them anyway.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from metaloop.execution.nanogpt_trainer import Sizes
from metaloop.vocabulary.space import Value

SCHEDULE_POINTS = 16
"""Midpoints at which the schedule is summed: the area is then right to about 1 %."""
_PROGRESS = tuple((i + 0.5) / SCHEDULE_POINTS for i in range(SCHEDULE_POINTS))
_COSINE = tuple(0.5 * (1 + math.cos(math.pi * i / 64)) for i in range(65))
_SQRT = tuple(1 - math.sqrt(i / 64) for i in range(65))
_LINEAR = tuple(1 - i / 64 for i in range(65))
_FALLS = {"cosine": _COSINE, "sqrt": _SQRT, "linear": _LINEAR}
"""How the rate falls at 64ths of the warmdown; the same curves as nanogpt/schedule.py."""
TINY = 1e-3
"""Keeps the logarithms of rates that reach zero finite."""
NO_CAP = 1e3
"""Stands for the bound on the logits where there is none: no logit gets that large."""
_VALUE_KNOBS = ("value_embedding_beta1", "value_embedding_beta2", "value_embedding_weight_decay")

_GROUPS = ("matrix", "embedding", "head", "scalar", "value")
_WEIGHT_NAMES = tuple(tuple(f"{kind}_{g}" for kind in ("way", "eaten", "size", "late", "learned")) for g in _GROUPS)


class Schedule(NamedTuple):
    """Mean learning-rate factor over the whole budget, its first quarter and its last."""

    mean: float
    early: float
    late: float


@lru_cache(maxsize=4096)
def schedule(warmup: float, warmdown: float, final: float, shape: str) -> Schedule:
    """Midpoint sums of the learning-rate factor (nanogpt/schedule.py: the smaller of warmup and warmdown holds)."""
    fall, start, factors = _FALLS[shape], 1.0 - warmdown, []
    for progress in _PROGRESS:
        factor = progress / warmup if progress < warmup else 1.0
        if progress > start:
            down = final + (1 - final) * fall[int(64 * (progress - start) / warmdown)]
            factor = min(factor, down)
        factors.append(factor)
    quarter = SCHEDULE_POINTS // 4
    return Schedule(sum(factors) / SCHEDULE_POINTS, sum(factors[:quarter]) / quarter, sum(factors[-quarter:]) / quarter)


def inactive(c: Mapping[str, Value]) -> list[str]:
    """The knobs that ``c`` switches off: whatever they hold, the training is the same."""
    off = []
    if c["position"] == "learned":
        off.append("rope_base")
    if c["matrix_optimizer"] == "adamw":
        off.append("muon_momentum")
    if c["tied_head"]:
        off.append("head_lr")
    if c["value_embeddings"] == "off":
        off.extend(_VALUE_KNOBS)
    if c["warmdown_fraction"] == 0:
        off.extend(("final_lr_fraction", "schedule_shape"))
    scalars = c["norm"] == "layernorm" or c["residual_lambdas"] or c["x0_lambdas"] or c["value_embeddings"] == "gated"
    if not scalars:
        off.append("scalar_lr")
    return off


def derived(c: Mapping[str, Value], s: Sizes) -> dict[str, float]:
    """Named numbers computed from configuration ``c`` and its sizes ``s``."""
    plan = schedule(
        number(c, "warmup_fraction"),
        number(c, "warmdown_fraction"),
        number(c, "final_lr_fraction"),
        str(c["schedule_shape"]),
    )
    return _of_size(s) | _of_schedule(c, s, plan) | _of_start(c, s) | _of_weights(c, s, plan)


def number(c: Mapping[str, Value], name: str) -> float:
    """A numeric knob's value."""
    return float(c[name])


def _of_size(s: Sizes) -> dict[str, float]:
    log = math.log
    block = s.width * (2 * s.heads + 2 * s.kv_heads) * s.head_dim
    return {
        "depth": s.depth,
        "log_depth": log(s.depth),
        "log_width": log(s.width),
        "log_heads": log(s.heads),
        "log_kv_share": log(s.kv_heads / s.heads),
        "log_hidden": log(s.hidden),
        "log_batch": log(s.batch),
        "log_steps": log(s.steps),
        "log_tokens": log(s.steps * s.tokens_per_step),
        "log_weights": log(s.depth * (block + 2 * s.width * s.hidden)),
        "short_share": s.short_layers / s.depth,
        "value_share": s.value_layers / s.depth,
    }


def _of_schedule(c: Mapping[str, Value], s: Sizes, plan: Schedule) -> dict[str, float]:
    """The schedule's areas, the rates that apply to whom, and momentum's memory in steps."""
    log, n = math.log, s.steps * plan.mean
    matrix = log(number(c, "matrix_lr"))
    muon = c["matrix_optimizer"] == "muon"
    return {
        "log_mean_rate": log(plan.mean + TINY),
        "early_rate": plan.early,
        "log_early_rate": log(plan.early + TINY),
        "late_rate": plan.late,
        "log_late_rate": log(plan.late + TINY),
        "log_head_lr": log(number(c, "embedding_lr" if c["tied_head"] else "head_lr")),
        "muon_lr": matrix if muon else log(2e-3),
        "adam_lr": log(2e-3) if muon else matrix,
        "memory": -log(1 - number(c, "muon_momentum" if muon else "beta1")),
        "log_beta1": -log(1 - number(c, "beta1")),
        "log_beta2": -log(1 - number(c, "beta2")),
        "log_embedding_beta2": -log(1 - number(c, "embedding_beta2")),
        "clip_steps": log(number(c, "grad_clip")) + log(n + TINY),
    }


def _of_start(c: Mapping[str, Value], s: Sizes) -> dict[str, float]:
    """The scales at which a training starts: residual branches, the head, the logits; and the bound on them."""
    log = math.log
    init, embedding = number(c, "init_std"), number(c, "embedding_std")
    branch = {"zero": 0.0, "plain": init, "scaled": init / math.sqrt(2 * s.depth)}[str(c["residual_init"])]
    head = embedding if c["tied_head"] else init
    cap, z_loss = number(c, "logit_softcap"), number(c, "z_loss")
    return {
        "branch_std": log(branch + TINY),
        "stream_std": 0.0 if c["norm"] == "rmsnorm" else log(embedding),
        "head_std": log(head),
        "logit_std": log(head) + 0.5 * log(s.width),
        "matrix_gain": log(init) + 0.5 * log(s.width),
        "softcap_on": float(cap > 0),
        "log_softcap": log(cap + 0.5) if cap > 0 else log(60.0),
        "inverse_softcap": 1 / (cap + 1) if cap > 0 else 0.0,
        "sqrt_z_loss": math.sqrt(z_loss),
        "log_z_loss": log(z_loss + 1e-4),
        "sqrt_matrix_decay": math.sqrt(number(c, "matrix_weight_decay")),
        "sqrt_embedding_decay": math.sqrt(number(c, "embedding_weight_decay")),
        "log_warmup": log(number(c, "warmup_fraction") + 0.01),
    }


def _groups(c: Mapping[str, Value]) -> tuple[tuple[float, float, float], ...]:
    """Peak learning rate, weight decay and starting scale of each of :data:`_GROUPS` (nanogpt/optim.py)."""
    init, table = number(c, "init_std"), number(c, "embedding_std")
    matrix_decay, rate = number(c, "matrix_weight_decay"), number(c, "embedding_lr")
    embedding = (rate, number(c, "embedding_weight_decay"), table)
    valued = c["value_embeddings"] != "off"
    return (
        (number(c, "matrix_lr"), matrix_decay, init),
        embedding,
        embedding if c["tied_head"] else (number(c, "head_lr"), matrix_decay, init),
        (number(c, "scalar_lr"), 0.0, 1.0),
        (rate, number(c, "value_embedding_weight_decay"), table) if valued else (2e-3, 0.1, 0.02),
    )


@lru_cache(maxsize=4096)
def _of_group(rate: float, decay: float, start: float, n: float, late: float) -> tuple[float, ...]:
    """The numbers of one parameter group, in the order of :data:`_WEIGHT_NAMES`; see :func:`_of_weights`."""
    log = math.log
    way, eaten = rate * n, rate * decay * n
    learned = way * -math.expm1(-eaten) / eaten if eaten > 1e-9 else way
    size = log(start * math.exp(-eaten) + learned)
    return log(way), log(eaten + 0.01), size, log(rate) + late - size, log(learned / start)


def _of_weights(c: Mapping[str, Value], s: Sizes, plan: Schedule) -> dict[str, float]:
    """How large each group's weights can get, how much of that is learned, and how restless they are at the end.

    Adam and Muon move a weight by about its learning rate in a step, so it travels at most ``rate x steps``; under
    decoupled decay w' = rate - rate decay w, which solves to start exp(-D) + way (1 - exp(-D)) / D with
    D = rate x decay x steps (AdamW, arXiv:1711.05101).
    """
    log, n = math.log, s.steps * plan.mean + TINY
    known: dict[str, float] = {}
    late = log(plan.late + TINY)
    for names, (rate, decay, start) in zip(_WEIGHT_NAMES, _groups(c), strict=True):
        known.update(zip(names, _of_group(rate, decay, start, n, late), strict=True))
    logits = known["size_head"] + 0.5 * log(s.width) + (known["size_scalar"] if c["norm"] == "layernorm" else 0.0)
    cap = number(c, "logit_softcap") or NO_CAP
    known["logit_size"] = logits
    known["capped_logit_size"] = -log(1 / cap + math.exp(-logits))
    known["branch_gain"] = known["size_matrix"] + 0.5 * log(s.width)
    return known
