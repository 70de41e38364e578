"""The score, by the harness alone: guests turn tokens into logits; targets, softmax and sum never leave this process.

Two fresh guests are asked in turn, batch by batch, with the same calls and shapes. One gets the text that is scored. In
the other's, every row goes on after a random cut with the text of another row. Up to the cut both must have answered
the same: what differs looked at future tokens, at other rows, or at an earlier batch's end. Neither guest can tell
which of the two it is. The cuts come from the system's entropy, so that no weights can have been trained for them.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
import torch
import torch.nn.functional as F

from metaloop.execution.sandbox import frames
from metaloop.execution.sandbox.handle import Guest
from metaloop.execution.sandbox.host import Caught
from metaloop.execution.sandbox.records import Fitted, Logits
from nanogpt.prepare import Corpus, bits_per_byte, evaluation_batches, evaluation_windows

CUDA_TOLERANCE = 1e-3
"""Largest difference of logits between the two guests on CUDA, whose kernels need not repeat bitwise; 0 on the CPU."""
TRIES = 8
"""Rows tried in search of one whose text differs at the cut."""
SAID = {frames.RESULT: 4096}

Tokens = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Batch:
    """Windows of one split, (rows, T + 1), the same with replaced ends, and where the ends begin, (rows,)."""

    split: str
    windows: Tokens
    replaced: Tokens
    cuts: Tokens


def batches_of(corpus: Corpus, splits: Sequence[str], sequence: int, count: int) -> list[Batch]:
    """What both guests are asked, in order."""
    rng = np.random.default_rng(secrets.randbits(128))
    found = []
    for split in splits:
        windows = evaluation_windows(corpus.splits[split], sequence, count)
        cuts = rng.integers(1, sequence, size=len(windows)) if sequence > 1 else np.ones(len(windows), np.int64)
        replaced = with_other_ends(windows, cuts, rng)
        start = 0
        for rows in evaluation_batches(windows, corpus.vocab):
            span = slice(start, start + len(rows))
            found.append(Batch(split, rows, replaced[span], cuts[span]))
            start = span.stop
    return found


def with_other_ends(windows: Tokens, cuts: Tokens, rng: np.random.Generator) -> Tokens:
    """The windows, each from its cut on with the text of another, which differs there if one of a few does.

    A lone window goes on with its own beginning.
    """
    replaced = windows.copy()
    for row, cut in enumerate(cuts):
        end = np.roll(windows[row], cut)
        for other in rng.integers(len(windows), size=TRIES if len(windows) > 1 else 0):
            end = windows[other]
            if end[cut] != windows[row, cut]:
                break
        replaced[row, cut:] = end[cut:]
    return replaced


def scores(guests: tuple[Guest, Guest], batches: Sequence[Batch], corpus: Corpus, tolerance: float) -> dict[str, float]:
    """Bits per byte of each split. Which of the two guests is scored is decided by a coin.

    The arithmetic is that of ``nanogpt.train.evaluate``: the same model gives the same bits.

    Raises:
        Caught: a guest answered with something else than logits, or looked ahead.
        Moved: the guests' answers differ where they must not.
    """
    coin = secrets.randbits(1)
    scored, audited = guests[coin], guests[1 - coin]
    nats: dict[str, torch.Tensor] = {}
    sizes: dict[str, int] = {}
    for index, batch in enumerate(batches):
        answers: dict[int, torch.Tensor] = {}
        for guest in guests:
            tokens = (batch.windows if guest is scored else batch.replaced)[:, :-1]
            answers[guest.number] = ask(guest, tokens, corpus.vocab)
        logits, other = answers[scored.number], answers[audited.number]
        _add(nats, sizes, batch, logits, corpus)
        if not math.isfinite(nats[batch.split].item()):
            raise Caught("logits: not finite", "diverged")
        rows = moved(logits, other, batch.cuts, tolerance)
        if rows:
            raise Moved(index, logits, rows)
    return {split: bits_per_byte(total.item(), sizes[split]) for split, total in nats.items()}


class Moved(Exception):
    """Logits up to the cut differ in ``rows`` rows of batch ``index``, whose scored logits were ``logits``."""

    def __init__(self, index: int, logits: torch.Tensor, rows: int) -> None:
        super().__init__(f"batch {index}")
        self.index, self.logits, self.rows = index, logits, rows

    def named(self, guest: Guest, batches: Sequence[Batch], vocab: int, tolerance: float) -> Caught:
        """Why: ``guest``, a third one, is asked what the scored one was asked; if it answers otherwise, the model does
        not repeat itself; if it answers the same, the other text moved it."""
        for batch in batches[: self.index + 1]:
            again = ask(guest, batch.windows[:, :-1], vocab)
        all_of_it = np.full(len(again), again.size(1))
        if moved(self.logits, again, all_of_it, tolerance):
            return Caught("determinism: the same tokens gave other logits in a fresh process")
        return Caught(
            f"future: logits at earlier positions moved when later tokens were replaced ({self.rows} of "
            f"{len(again)} rows)"
        )


@torch.inference_mode()
def moved(logits: torch.Tensor, other: torch.Tensor, cuts: Tokens, tolerance: float) -> int:
    """Rows of two answers (rows, T, V) that differ by more than ``tolerance`` before their cuts."""
    before = torch.arange(logits.size(1))[None, :] < torch.from_numpy(np.asarray(cuts))[:, None]
    differs = ((logits - other).abs() > tolerance) if tolerance else (logits != other)
    return int((differs.any(-1) & before).any(-1).sum())


@torch.inference_mode()
def _add(
    nats: dict[str, torch.Tensor], sizes: dict[str, int], batch: Batch, logits: torch.Tensor, corpus: Corpus
) -> None:
    """Add the cross-entropy of a batch's targets to the split's sum, and its bytes."""
    targets = torch.from_numpy(batch.windows[:, 1:].astype(np.int64))
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
    bytes_of = corpus.token_bytes[batch.windows[:, 1:]]
    total = (losses * torch.from_numpy(bytes_of > 0)).sum(dtype=torch.float64)
    nats[batch.split] = nats.get(batch.split, torch.zeros((), dtype=torch.float64)) + total
    sizes[batch.split] = sizes.get(batch.split, 0) + int(bytes_of.sum())


def ready(guest: Guest) -> None:
    """Wait until a serving guest has built its model. It has seen no scored text yet, so its word may be repeated.

    Raises:
        Caught: it could not.
    """
    said = decoded(guest.receive(SAID)[1], Fitted)
    if said.state != "ok":
        raise Caught(f"serving: {said.message}", "crash")


def ask(guest: Guest, tokens: Tokens, vocab: int) -> torch.Tensor:
    """Logits (rows, T, V) float32 of ``tokens`` (rows, T).

    Raises:
        Caught: no such logits came. The reason repeats no word of the guest: it has read scored text.
    """
    rows, length = tokens.shape
    shape = (rows, length, vocab)
    header = np.array([rows, length], dtype=np.uint32).tobytes()
    try:
        guest.send(frames.TOKENS, header + np.ascontiguousarray(tokens, dtype=np.int64).tobytes())
        said = decoded(guest.receive(SAID)[1], Logits)
        if said.shape != shape or said.dtype != "float32":
            raise Caught(f"logits: expected shape {shape} in float32, got something else", own=True)
        _, body = guest.receive({frames.LOGITS: rows * length * vocab * 4})
    except Caught as caught:
        kind = caught.reason.split(":")[0]
        raise Caught(caught.reason if caught.own else f"{_known(kind)}: while serving", caught.state) from None
    if len(body) != rows * length * vocab * 4:
        raise Caught(f"logits: expected {rows * length * vocab} numbers, got fewer")
    return torch.frombuffer(bytearray(body), dtype=torch.float32).view(shape)


KINDS = frozenset(
    {"network", "processes", "signals", "links", "ctypes", "pickle", "limits", "escape", "reads", "writes", "flood",
     "frames", "memory", "logits"}
)  # fmt: skip
"""Reasons whose first word may be repeated."""


def _known(kind: str) -> str:
    return kind if kind in KINDS else "serving"


T = TypeVar("T")


def decoded(body: bytes, kind: type[T]) -> T:
    """A record out of a guest's message. Raises Caught if it is none."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Caught("frames: a message that is no record") from None


def uniform(corpus: Corpus) -> float:
    """Bits per byte of guessing evenly: what a training must beat to have a score (as in ``nanogpt.train``)."""
    return math.log2(corpus.vocab) / max(1.0, float(corpus.token_bytes.mean()))


def check_scores(bpb: Mapping[str, float], corpus: Corpus) -> None:
    """Raises Caught, as diverged, if a score is no better than guessing evenly."""
    if not all(score <= uniform(corpus) for score in bpb.values()):
        raise Caught(f"ended at {max(bpb.values()):.4g} bpb, no better than guessing evenly", "diverged")
