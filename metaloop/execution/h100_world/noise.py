"""Training noise of the H100 world, from named streams: the same question has the same answer in every process.

One measured score is the landscape's mean plus

- what the seed does to every configuration alike (:data:`SEED_SD`): gone in a paired difference;
- what the seed does to this configuration (:data:`OWN_SD`): stays in a paired difference, √2 times;
- what a repeat with the same seed and configuration differs by (:data:`REPEAT_SD`). Trainers answer the same request
  alike, so this part is drawn anew only where another device speed or budget makes it another training.
"""

from __future__ import annotations

from statistics import NormalDist

from metaloop.vocabulary.seeds import derive

REPEAT_SD = 0.00011
"""bpb; six repeats on one H200 (ferreirafabio/autoresearch-automl, docs/data/trials.json; noise.md)."""
SEED_SD = 0.0005
OWN_SD = 0.0003
"""bpb; two seeds of one configuration then differ by ``√2 · √(0.0005² + 0.0003²)`` = 0.00082 (sd). Published for one
GPU are +0.0007 and about -0.0004 (autoresearch PR #44, discussion #32); the 0.002 of a swarm has differences between
its GPUs in it. The split between shared and own is an assumption: of 124 same-seed deltas of the published run 46 lie
within 0.0005, so the own part cannot be much larger."""

_STANDARD = NormalDist()
_STEPS = 2.0**-52


def normal(root: int, *path: str | int) -> float:
    """A standard normal number for the stream ``path`` under ``root``."""
    return _STANDARD.inv_cdf(((derive(root, *path) >> 12) + 0.5) * _STEPS)
