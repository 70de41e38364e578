"""What a device is, in one short name: gains are compared within one kind of hardware."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def device_name(gpu: bool) -> str:
    """The GPU of this process (``NVIDIA H100 80GB HBM3``), or else the processor's model."""
    if gpu:
        import torch

        if torch.cuda.is_available():
            return str(torch.cuda.get_device_name(0))
        return "a GPU that torch cannot use"
    return processor_name()


def processor_name() -> str:
    """The processor's model, where the system says it."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def counted(names: Iterable[str]) -> str:
    """``2 x NVIDIA A100, 1 x NVIDIA H100``, the most frequent first."""
    return ", ".join(f"{count} x {name}" for name, count in sorted(Counter(names).items(), key=lambda n: (-n[1], n[0])))
