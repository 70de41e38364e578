"""What an evolution's models were asked and paid, counted from what stands on disk."""

from __future__ import annotations

from collections.abc import Sequence

from metaloop.edges.evolution.results import Thinking
from metaloop.files import journal
from metaloop.files.run_folder import RunFolder
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.meta.evolution.terms import SIMULATED, UNSEEN, VARIANTS, Measured
from metaloop.meta.mutations.recorded import rewritings
from metaloop.meta.thinking import Charge, charged


def thinking(folder: EvolutionFolder, measured: Sequence[Measured]) -> Thinking:
    """All of it: org runs that were measured, those of the evidence, and rewritings."""
    stages: dict[str, Charge] = {}
    for each in measured:
        if each.tokens or each.usd:
            before = stages.get(each.stage, Charge(0, 0.0))
            stages[each.stage] = Charge(before.tokens + each.tokens, before.usd + each.usd)
    for stage in (SIMULATED, UNSEEN, VARIANTS):
        found = of_folder(folder.stage(stage))
        stages |= {stage: found} if found.tokens or found.usd else {}
    asked = rewritings(folder.rewritings)
    return Thinking(
        stages=stages,
        rewriting=Charge(
            sum(each.rewriting.cost.tokens for each in asked), sum(each.rewriting.cost.usd for each in asked)
        ),
        rewritings=len(asked),
        usable=sum(not each.refusal for each in asked),
    )


def of_folder(folder: RunFolder) -> Charge:
    """What the org runs in a run's folder were charged, under way or over."""
    if not folder.terms.exists():
        return Charge(0, 0.0)
    terms = folder.read_terms()
    places = [folder.org_run(name, seed) for name in terms.organizations for seed in terms.org_run_seeds]
    charges = [charged(journal.read(p.journal), p.transcripts) for p in places if p.journal.exists()]
    return Charge(sum(charge.tokens for charge in charges), sum(charge.usd for charge in charges))


def told(thought: Thinking) -> str:
    """In one line, for a person."""
    tokens, usd = thought.total
    rewritten = f", {thought.usable} of {thought.rewritings} rewritings usable" if thought.rewritings else ""
    return f"{tokens:,} tokens, ${usd:.4g}{rewritten}"
