"""Memory of the device that trains: its peak, and whether an error says that it ran out."""

from __future__ import annotations

import resource
import sys

import torch


def peak_bytes(device: torch.device) -> int:
    """The device's peak allocation on CUDA, the process's peak resident size elsewhere."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts kilobytes


def out_of_memory(error: Exception) -> bool:
    """CUDA has its own exception; the CPU allocator raises a RuntimeError that says so, in words of its platform."""
    said = str(error)
    told = "not enough memory" in said or "can't allocate memory" in said
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or told
