"""The plan: every stage, the most that it can cost, and nothing for what is simulated."""

from __future__ import annotations

import msgspec
import pytest

from metaloop.meta.evolution.plan import half_of, make_plan
from metaloop.meta.evolution.races import org_run_hours
from tests.meta.evolution.planted import evolution_terms


def test_it_adds_up() -> None:
    terms = evolution_terms(dollars_per_gpu_hour=2.5, lanes=2)
    plan = make_plan(terms)
    stages = {stage.name: stage for stage in plan.stages}
    short, final = terms.rungs[0], terms.confirmation
    assert (
        stages["short"].org_runs == (1 + short.entrants) * short.most + (len(terms.controls) + 2) * short.control_blocks
    )
    assert stages["confirmation"].gpu_hours == pytest.approx(
        4 * terms.final_blocks * org_run_hours(final, terms.training_s)
    )
    assert stages["half"].gpu_hours == pytest.approx(
        terms.final_blocks * org_run_hours(half_of(final), terms.training_s)
    )
    assert {name for name, stage in stages.items() if stage.gpu_hours} == {"short", "confirmation", "half"}
    assert plan.gpu_hours == pytest.approx(sum(stage.gpu_hours for stage in plan.stages))
    assert plan.usd == pytest.approx(2.5 * plan.gpu_hours)
    assert plan.wall_hours == pytest.approx(plan.gpu_hours / (2 * 2))


def test_more_of_anything_costs_more() -> None:
    terms = evolution_terms()
    base = make_plan(terms)
    longer = make_plan(msgspec.structs.replace(terms, final_blocks=terms.final_blocks + 1))
    wider = make_plan(msgspec.structs.replace(terms, generations=terms.generations + 1))
    assert longer.gpu_hours > base.gpu_hours
    assert wider.simulated_org_runs > base.simulated_org_runs
    assert wider.gpu_hours == base.gpu_hours
