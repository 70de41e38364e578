"""What an evolution will cost at most, before anything starts."""

from __future__ import annotations

import msgspec

from metaloop.files.run_folder import RunTerms
from metaloop.meta.evolution.races import org_run_hours
from metaloop.meta.evolution.terms import CONFIRMATION, HALF, OPENING, UNSEEN, EvolutionTerms, Rung

TWINS = 2
"""The A/A twin and the null child, beside the controls of every race."""
VARIANTS = 15
"""Changes taken back and members left out, of a winner after a handful of generations."""
ELITE_AGAIN = 3
"""Elite that is measured again beside each generation's children."""


class PlannedStage(msgspec.Struct, frozen=True):
    """A row of the plan. ``org_runs`` is the most there can be (races stop early), ``gpu_hours`` of real devices, the
    harness's confirmation included; ``device_hours`` of an org run alone, simulated or not."""

    name: str
    what: str
    org_runs: int
    seeds: str
    device_hours: float
    gpu_hours: float


class Plan(msgspec.Struct, frozen=True):
    """All stages. ``wall_hours`` is of the real ones, all lanes at work."""

    stages: tuple[PlannedStage, ...]
    gpu_hours: float
    max_gpu_hours: float
    usd: float
    wall_hours: float
    simulated_org_runs: int


def make_plan(terms: EvolutionTerms) -> Plan:
    """The most that an evolution on these terms comes to, stage by stage."""
    inner, final = terms.inner, 2 + len(terms.final_controls)
    stages = [
        _row(terms, OPENING, f"{len(terms.seeds)} given", inner.run, len(terms.seeds) * terms.opening_blocks),
        _generations(terms),
        *(_race(terms, rung) for rung in terms.rungs),
        _row(terms, CONFIRMATION, "winner, parent, controls", terms.confirmation, final * terms.final_blocks),
        _row(terms, HALF, "winner with half of the GPU-hours", half_of(terms.confirmation), terms.final_blocks),
        _row(
            terms,
            "simulated",
            "winner, parent, controls; variants of the winner",
            terms.inner.run,
            _variants(terms, final),
        ),
        _row(terms, UNSEEN, "winner, parent, controls", terms.unseen, final * terms.unseen_blocks),
    ]
    hours = sum(stage.gpu_hours for stage in stages)
    return Plan(
        stages=tuple(stages),
        gpu_hours=hours,
        max_gpu_hours=terms.max_gpu_hours,
        usd=hours * terms.dollars_per_gpu_hour,
        wall_hours=hours / (terms.confirmation.devices * terms.lanes),
        simulated_org_runs=sum(stage.org_runs for stage in stages if not stage.gpu_hours),
    )


def _variants(terms: EvolutionTerms, final: int) -> int:
    """As many as there are changes and members, which nobody knows beforehand: about :data:`VARIANTS`."""
    return (final + VARIANTS) * terms.unseen_blocks


def half_of(run: RunTerms) -> RunTerms:
    """The same with half of the GPU-hours: what an organization must reach the controls' whole gain in."""
    return msgspec.structs.replace(run, gpu_hours=run.gpu_hours / 2)


def _generations(terms: EvolutionTerms) -> PlannedStage:
    rung = terms.inner
    racing = 1 + terms.population + ELITE_AGAIN
    runs = terms.generations * (racing * rung.most + (len(terms.controls) + TWINS) * rung.control_blocks)
    return _row(terms, rung.name, f"{terms.generations} races of {terms.population} children", rung.run, runs)


def _race(terms: EvolutionTerms, rung: Rung) -> PlannedStage:
    runs = (1 + rung.entrants) * rung.most + (len(terms.controls) + TWINS) * rung.control_blocks
    return _row(terms, rung.name, f"{rung.entrants} finalists against their parent", rung.run, runs)


def _row(terms: EvolutionTerms, name: str, what: str, run: RunTerms, org_runs: int) -> PlannedStage:
    real = run.backend != "sim"
    hours = org_runs * org_run_hours(run, terms.training_s) if real else 0.0
    return PlannedStage(name, what, org_runs, f"from {run.seed}", run.gpu_hours, hours)
