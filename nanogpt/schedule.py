"""The learning-rate schedule: warm up, hold, warm down. A pure function of progress."""

from __future__ import annotations

import math

from nanogpt.knobs import Config


def _fall(shape: str, progress: float) -> float:
    """From 1 at progress 0 to 0 at progress 1."""
    if shape == "cosine":  # SGDR, Loshchilov and Hutter 2016, arXiv:1608.03983, eq. 5
        return 0.5 * (1 + math.cos(math.pi * progress))
    if shape == "sqrt":  # Haegele et al. 2024, arXiv:2405.18392, eq. 1: 1-sqrt beat linear and cosine cooldowns
        return 1 - math.sqrt(progress)
    return 1 - progress


def lr_factor(config: Config, progress: float) -> float:
    """What the peak learning rates are multiplied by at `progress`, the share of the budget spent, in [0, 1).

    Where warmup and warmdown overlap, the smaller of the two holds.
    """
    warm = 1.0 if progress >= config.warmup_fraction else progress / config.warmup_fraction
    start = 1 - config.warmdown_fraction
    if progress <= start or config.warmdown_fraction == 0:
        return warm
    fall = _fall(config.schedule_shape, min(1.0, (progress - start) / config.warmdown_fraction))
    return min(warm, config.final_lr_fraction + (1 - config.final_lr_fraction) * fall)
