"""What the training prints about its own score, beside what was measured."""

from __future__ import annotations

import re

MARGIN = 0.1
"""Bits per byte that a printed score may lie below the measured one: twice the seed noise of cpu-tiny (docs/target.md).
No training can know its score: it never sees the text that is scored."""
PRINTED = re.compile(
    rb"(?<![a-z_])(?:(?:val|holdout|confirm)[ _-]*)?bpb[\"']?\s*(?:[:=]|is)\s*([0-9]+(?:\.[0-9]+)?)", re.IGNORECASE
)
"""``val_bpb: 0.5``, ``"bpb": 0.5``, ``bpb=0.5``; not ``train_bpb``, which it can know."""


def false_claim(log: bytes, measured: float) -> str | None:
    """The named reason if ``log`` claims a score that was not measured."""
    for found in PRINTED.finditer(log):
        if float(found[1]) < measured - MARGIN:
            return f"claim: prints {float(found[1]):.3f}, measured {measured:.3f}"
    return None
