"""Batches of training windows, as tensors on the device that trains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nanogpt.prepare import Corpus, DataError, Tokens


class TrainingWindows:
    """Windows at random places of the train split, the same stream for a seed whatever the batch size.

    Raises DataError if train is shorter than one window of `sequence + 1` tokens.
    """

    def __init__(self, corpus: Corpus, sequence: int, seed: int, device: torch.device) -> None:
        self.tokens, self.device = np.asarray(corpus.splits["train"]), device
        self.random = np.random.default_rng(seed)
        self.offsets = np.arange(sequence + 1)
        self.places = len(self.tokens) - sequence
        if self.places < 1:
            raise DataError(f"train has {len(self.tokens)} tokens, too few for a window of {sequence + 1}")

    def next(self, rows: int) -> tuple[Tensor, Tensor]:
        """Tokens and targets, each (rows, T) int64; a target is the token after."""
        starts = self.random.integers(self.places, size=rows)
        return to_device(self.tokens[starts[:, None] + self.offsets], self.device)

    def skip(self, rows: int) -> None:
        """Pass over rows that another rank trains on."""
        if rows:
            self.random.integers(self.places, size=rows)


def to_device(windows: Tokens, device: torch.device) -> tuple[Tensor, Tensor]:
    """Windows (rows, T + 1) as tokens and targets, each (rows, T) int64; copied without waiting on CUDA."""
    batch = torch.from_numpy(windows.astype(np.int64))
    if device.type == "cuda":
        batch = batch.pin_memory().to(device, non_blocking=True)
    return batch[:, :-1], batch[:, 1:].contiguous()
