"""A race of organizations on a rung: the race says which org runs it wants, a :class:`Measure` runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import RunTerms
from metaloop.meta.evolution.terms import Measure, Request, Rung
from metaloop.meta.racing.halving import halvings, standard_terms
from metaloop.meta.racing.race import RaceState, begin, next_jobs, observe
from metaloop.meta.racing.sequential import fewest
from metaloop.meta.racing.terms import Cut, Observation, RaceTerms

EVERY = 4
"""Blocks between two looks at a simulated race: enough org runs at a time for all processes."""
HEADROOM = 1.25
"""A real race may cost this much more than its org runs' nominal cost: trainings in flight at the end are paid for."""


def run_race(
    terms: RaceTerms,
    rung: Rung,
    first_seed: int,
    organizations: Mapping[str, OrgFile],
    measure: Measure,
    on_look: Callable[[RaceState], None],
) -> RaceState:
    """Race to the end; block b is org-run seed ``first_seed + b``. ``on_look`` is told after every look.

    What a job costs is counted as the race's terms do: 1 each, or GPU-hours, confirmation included.
    """
    state = begin(terms)
    while jobs := next_jobs(state):
        requests = [Request(rung.name, job.name, first_seed + job.block) for job in jobs]
        found = [
            Observation(m.name, m.seed - first_seed, m.score, 1.0 if rung.inner else m.gpu_hours + m.harness_gpu_hours)
            for m in measure(organizations, requests)
        ]
        state = observe(state, found)
        on_look(state)
    return state


def run_flat(
    stage: str, seeds: Sequence[int], organizations: Mapping[str, OrgFile], measure: Measure
) -> dict[str, tuple[float | None, ...]]:
    """Everybody on every seed: scores by seed."""
    requests = [Request(stage, name, seed) for seed in seeds for name in organizations]
    scores = {(m.name, m.seed): m.score for m in measure(organizations, requests)}
    return {name: tuple(scores[name, seed] for seed in seeds) for name in organizations}


def inner_terms(
    rung: Rung, champion: str, challengers: tuple[str, ...], controls: tuple[str, ...], twins: tuple[str, ...]
) -> RaceTerms:
    """A generation's race: org runs cost 1 each, and all that it may want are granted."""
    controls = (*(name for name in controls if name not in (champion, *challengers)), *twins)
    everybody = 1 + len(challengers) + len(controls)
    standard = standard_terms(champion, challengers, controls, float(everybody * rung.most), 1.0)
    return msgspec.structs.replace(
        standard,
        twins=twins,
        alpha=rung.alpha,
        least=rung.least,
        most=rung.most,
        every=EVERY,
        control_blocks=rung.control_blocks,
        cuts=halvings(len(challengers), 2, rung.least),
    )


def real_terms(
    rung: Rung,
    training_s: float,
    champion: str,
    challengers: tuple[str, ...],
    controls: tuple[str, ...],
    twins: tuple[str, ...],
) -> RaceTerms:
    """A race on real trainings: few blocks, so nobody leaves as hopeless; half leave after ``least`` blocks.

    Where the blocks are too few for anybody to be proven better, it only narrows the field, and what decides is
    confirmation. Too few for twins to be proven different, they run as controls all the same, and are only shown.
    """
    controls = (*(name for name in controls if name not in (champion, *challengers)), *twins)
    cost = org_run_hours(rung.run, training_s)
    blocks = rung.most * (1 + len(challengers)) + rung.control_blocks * len(controls)
    standard = standard_terms(champion, challengers, controls, HEADROOM * blocks * cost, cost)
    provable = fewest(len(challengers) / rung.alpha, standard.effects, rung.most) is not None
    telling = fewest(2 * len(twins) / rung.alpha, standard.effects, rung.control_blocks) is not None
    return msgspec.structs.replace(
        standard,
        goal="accept" if provable else "screen",
        twins=twins if telling else (),
        alpha=rung.alpha,
        futility=0.0,
        least=rung.least,
        most=rung.most,
        every=1,
        control_blocks=rung.control_blocks,
        cuts=(Cut(rung.least, (len(challengers) + 1) // 2),),
    )


def org_run_hours(run: RunTerms, training_s: float) -> float:
    """Nominal GPU-hours of an org run and of its confirmation: what a plan counts with.

    A training usually takes ``training_s`` seconds. When the budget is spent, every device still trains for half of
    that on average; the confirmation of both ends trains two configurations for each pair.
    """
    devices = run.devices / 2 + 2 * run.confirm_pairs * run.devices_per_experiment
    return run.gpu_hours + devices * training_s / 3600
