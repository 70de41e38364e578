"""A follower: a process that trains beside a trainer's own, on another device of its group (see ``nanogpt_group``).

It reads one training after the other from its standard input, takes its share of each, and says nothing. It ends with
the process that started it, whatever that one died of.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from nanogpt.prepare import Corpus

PR_SET_PDEATHSIG = 1
"""<linux/prctl.h>."""


class Post(msgspec.Struct, frozen=True):
    """Who a follower is: rank ``rank`` of ``count``, on ``data``, of the group that meets at the file ``meeting_place``
    (see ``nanogpt.ranks.join``). ``parent`` is the process that starts it."""

    data: str
    rank: int
    count: int
    meeting_place: str
    patience_s: float
    cuda: bool
    parent: int


def main() -> None:
    """Follow until there is nothing more to read, or a rank is lost."""
    post = msgspec.json.decode(sys.argv[1], type=Post)
    die_with(post.parent)
    orders = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    import torch

    from nanogpt.prepare import load_corpus
    from nanogpt.ranks import join

    torch.set_num_threads(1)
    corpus = load_corpus(post.data)
    join(post.rank, post.count, Path(post.meeting_place), post.patience_s, post.cuda)
    for order in orders:
        follow(order, corpus, post)
    os._exit(0)  # whoever ends in order would wait for a group that may be gone


def follow(order: bytes, corpus: Corpus, post: Post) -> None:
    """Take part in one training. Raises RanksLost."""
    from nanogpt.ranks import Together
    from nanogpt.results import TrainRequest
    from nanogpt.train import fit

    request = msgspec.json.decode(order, type=TrainRequest)
    # What makes a request invalid is the same on every rank: none of them has begun.
    with contextlib.suppress(ValueError):
        fit(request, corpus, "cuda" if post.cuda else "cpu", Together(post.rank, post.count))


def die_with(parent: int) -> None:
    """End with the process ``parent``, as soon as it does, stopped or not (Linux; elsewhere: once nothing can be read
    or summed any more)."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main()
