"""The ranks that share one training: processes on one machine, a device each (data parallelism).

Of every batch rank r of N takes the rows from `rows * r // N` to `rows * (r + 1) // N`: shares differ by one row at
most, and a rank whose share is empty (more ranks than rows) adds nothing. Each share counts by its rows, so that the
sum over the ranks is the mean over the batch, whatever N. All ranks then take the same step, on the same weights.

Rank 0 leads: it alone evaluates, judges and keeps the time. Before every sum of gradients all ranks meet, and whoever
cannot go on leaves at the next meeting with its reason; so everybody ends together, and nobody waits in vain. Only a
rank whose process dies breaks the group (`RanksLost`).

Whoever trains alone never loads `torch.distributed`. One group is formed for each process, by `join`: PyTorch keeps it.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from nanogpt.results import Ended


class RanksLost(Exception):
    """A rank died or fell silent: its group cannot train any more."""


class Ranks(Protocol):
    """The ranks of one training, as one of them sees them."""

    leads: bool
    """Whether this rank is the one that evaluates, judges and keeps the time."""

    def share(self, rows: int) -> range:
        """This rank's rows of a batch."""
        ...

    def sum(self, gradient: Tensor, loss: Tensor) -> Tensor:
        """Add up all ranks' gradients and losses; `gradient` (P + 1,) holds the gradient, and room for the loss behind
        it, so that one reduction does. Returns the summed loss.

        Raises:
            Ended: a rank has left.
            RanksLost
        """
        ...

    def follow(self, value: float) -> float:
        """The leader's `value`. Raises what `sum` raises."""
        ...

    def leave(self, state: str, message: str) -> None:
        """Tell the others that this rank ends in `state`; nothing, if they know or have ended too. Raises RanksLost."""
        ...

    def finish(self) -> None:
        """The last step is taken: from here on nobody waits for anybody."""
        ...


class Alone:
    """One rank that is all ranks: it takes the whole batch, and has nobody to tell."""

    leads = True

    def share(self, rows: int) -> range:
        return range(rows)

    def sum(self, gradient: Tensor, loss: Tensor) -> Tensor:  # noqa: ARG002
        return loss

    def follow(self, value: float) -> float:
        return value

    def leave(self, state: str, message: str) -> None:
        pass

    def finish(self) -> None:
        pass


class Together:
    """One rank among several in one training, over the process's group (see `join`)."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count, self.leads = rank, count, rank == 0
        self._over = False

    def share(self, rows: int) -> range:
        return range(rows * self.rank // self.count, rows * (self.rank + 1) // self.count)

    def sum(self, gradient: Tensor, loss: Tensor) -> Tensor:
        self._meet(0.0)
        gradient[-1] = loss
        self._reduce(gradient)
        return gradient[-1].clone()

    def follow(self, value: float) -> float:
        return self._meet(value)

    def leave(self, state: str, message: str) -> None:
        if not self._over:
            self._exchange(0.0, (state, message))

    def finish(self) -> None:
        self._over = True

    def _meet(self, value: float) -> float:
        """All ranks come by; returns the leader's `value`."""
        value, left = self._exchange(value, None)
        if left is not None:
            raise Ended(*left)
        return value

    def _exchange(self, value: float, leaving: tuple[str, str] | None) -> tuple[float, tuple[str, str] | None]:
        """The leader's `value`, and why somebody leaves, if anybody does. On the CPU, so that no GPU is waited for."""
        said = torch.tensor([value if self.leads else 0.0, leaving is not None], dtype=torch.float64)
        self._reduce(said)
        value, leavers = said.tolist()
        return value, self._reasons(leaving) if leavers else None

    def _reasons(self, own: tuple[str, str] | None) -> tuple[str, str]:
        self._over = True
        reasons: list[tuple[str, str] | None] = [None] * self.count
        try:
            torch.distributed.all_gather_object(reasons, own)
        except RuntimeError as error:
            raise RanksLost(str(error)) from error
        rank, (state, message) = next((rank, said) for rank, said in enumerate(reasons) if said is not None)
        return state, f"{message} (rank {rank} of {self.count})"

    def _reduce(self, tensor: Tensor) -> None:
        try:
            torch.distributed.all_reduce(tensor)
        except RuntimeError as error:
            self._over = True
            raise RanksLost(f"rank {self.rank} of {self.count} has lost the others: {error}") from error


def join(rank: int, count: int, meeting_place: Path, patience_s: float, cuda: bool) -> None:
    """Make this process rank `rank` of `count`; comes back once all are there.

    `meeting_place` is a file that does not exist yet, the same for all. Whoever falls silent for `patience_s` seconds
    is lost. On CUDA rank r trains on the process's visible device r, and gradients go over NCCL.

    Raises RanksLost if they do not find together.
    """
    # Gloo would look for an address under the machine's name, which need not be one; all ranks are on this machine.
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    if cuda:
        torch.cuda.set_device(rank)
    try:
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo", init_method=meeting_place.absolute().as_uri(), rank=rank,
            world_size=count, timeout=timedelta(seconds=patience_s),
        )  # fmt: skip
    except RuntimeError as error:
        raise RanksLost(f"rank {rank} of {count} does not find the others: {error}") from error
