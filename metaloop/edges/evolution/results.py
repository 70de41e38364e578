"""What an evolution comes to: the record behind ``evolve --json`` and ``results.json``."""

from __future__ import annotations

import msgspec

from metaloop.meta.evolution.terms import Born, EvolutionTerms, RaceRecord, Scores


class EvolutionResults(msgspec.Struct, frozen=True):
    """What ``evolve --json`` prints. ``parent`` is the best of the organizations that were given, ``winner`` what is
    handed over in ``evolved``. ``gpu_hours`` are real ones that organizations spent, ``harness_gpu_hours`` those of
    their confirmation. ``ran_out``: the GPU-hours were spent before all was done."""

    parent: str
    winner: str
    evolved: str
    lineage: tuple[Born, ...]
    races: tuple[RaceRecord, ...]
    scores: dict[str, Scores]
    gpu_hours: float
    harness_gpu_hours: float
    org_runs: dict[str, int]
    ran_out: bool
    terms: EvolutionTerms
    out: str
