"""What an evolution comes to: the record behind ``evolve --json`` and ``results.json``."""

from __future__ import annotations

import msgspec

from metaloop.meta.evolution.terms import Born, EvolutionTerms, RaceRecord, Scores
from metaloop.meta.thinking import Charge


class Thinking(msgspec.Struct, frozen=True):
    """Tokens and dollars of models: ``stages`` by stage of org runs (the evidence's too), late answers among them;
    ``rewriting`` what prose was rewritten for, in ``rewritings`` requests, of which ``usable`` could be taken."""

    stages: dict[str, Charge] = {}
    rewriting: Charge = Charge(0, 0.0)
    rewritings: int = 0
    usable: int = 0

    @property
    def total(self) -> Charge:
        """All of it."""
        charges = [*self.stages.values(), self.rewriting]
        return Charge(sum(charge.tokens for charge in charges), sum(charge.usd for charge in charges))


class EvolutionResults(msgspec.Struct, frozen=True):
    """What ``evolve --json`` prints. ``parent`` is the best of the organizations that were given, ``winner`` what is
    handed over in ``evolved``. ``gpu_hours`` are real ones that organizations spent, ``harness_gpu_hours`` those of
    their confirmation. ``ran_out``: the GPU-hours, or what could be thought for, were spent before all was done.
    ``thinking`` is what models were asked and paid."""

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
    thinking: Thinking = Thinking()
