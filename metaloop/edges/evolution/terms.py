"""From the options of ``metaloop evolve`` to the terms of an evolution, checked before anything is spent."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from metaloop import __version__
from metaloop.edges.commands.options import make_terms, organization_folders
from metaloop.edges.commands.thinking_options import models_by_organization
from metaloop.files.org_file import ORG_FILE, read_organization, with_model
from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import RunTerms
from metaloop.meta.confirmed import SPLIT
from metaloop.meta.evolution.plan import half_of, make_plan
from metaloop.meta.evolution.terms import CONFIRMATION, HALF, INNER, OPENING, SELECTION_SPLIT, EvolutionTerms, Rung
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.models import UNLIMITED, Allowance

SEEDS_OF_AN_EVOLUTION = 1_000_000
"""Org-run seeds are numbered from this times ``--seed``, and each stage from an offset of its own below."""
SHORT_AT, LONG_AT, CONFIRMATION_AT, UNSEEN_AT = 500_000, 600_000, 700_000, 800_000
ALPHA = 0.05
USUAL = 1 / 40
"""What a training usually takes, as a share of the time after which it counts as hung: 3 s of 120 for cpu-tiny, where
2.1 to 5.0 s were measured, the slower the better the configuration."""
LEAST_REAL_BLOCKS = 2
"""Seeds before a real race is looked at for the first time."""
LEAST_BLOCKS = 12
"""Simulated blocks before a generation's race is looked at for the first time, and that controls run in: earlier looks
accept skewed differences too often (docs/racing.md), and a twin could not be caught."""


def gather(
    organizations: Sequence[Path], controls: Sequence[Path], models: Sequence[str] = ()
) -> tuple[dict[str, OrgFile], dict[str, OrgFile]]:
    """Seed organizations and controls by name; where no control is named, those that lie beside the first organization.

    ``models`` are values of ``--model``: NAME holds for ``organizations``, ORG=NAME for anybody.

    A control that gains anything is a seed too: it may well be the best start there is, and children are no controls.

    Raises:
        UsageError: nothing to evolve, or no control at all.
        OrgFileError, RoleFileError: one of them is not in order.
    """
    given = {name: read_organization(path) for name, path in organization_folders(tuple(organizations)).items()}
    named = (
        {name: read_organization(path) for name, path in organization_folders(tuple(controls)).items()}
        if controls
        else {}
    )
    seeds = {name: file for name, file in given.items() if can_gain(file)}
    yardsticks = {name: file for name, file in given.items() if file.settings["control"]} | named
    if not seeds:
        raise UsageError("no organization was named that ever merges. Try: metaloop evolve orgs/daily-standup")
    if not yardsticks:
        yardsticks = _beside(organizations[0], seeds)
    if not yardsticks:
        raise UsageError("an evolution without controls shows nothing. Name some: --control orgs/solo-greedy.")
    thinkers = models_by_organization(models, tuple(given), (*seeds, *yardsticks))
    return _thinking(seeds, thinkers), _thinking(yardsticks, thinkers)


def _thinking(files: Mapping[str, OrgFile], thinkers: Mapping[str, str]) -> dict[str, OrgFile]:
    return {name: with_model(file, thinkers.get(name, "")) for name, file in files.items()}


def _beside(first: Path, seeds: Mapping[str, OrgFile]) -> dict[str, OrgFile]:
    folder = (first.parent if first.name == ORG_FILE else first).resolve().parent
    files = [read_organization(path.parent) for path in sorted(folder.glob(f"*/{ORG_FILE}"))]
    return {file.name: file for file in files if file.settings["control"] and file.name not in seeds}


def evolution_terms(options: dict[str, Any], seeds: Sequence[str], controls: Mapping[str, OrgFile]) -> EvolutionTerms:
    """The terms; ``options`` are those of the command.

    Raises:
        UsageError: the most that it can cost exceeds --max-gpu-hours.
    """
    from metaloop.edges import session

    base, cluster = SEEDS_OF_AN_EVOLUTION * options["seed"], options["cluster"]
    if options["backend"] != "sim":
        options = {**options, "cluster": None}  # the simulated stages' own: the real ones have real machines
    real = _run(options, {"seeds": options["final_seeds"]}, base + CONFIRMATION_AT)
    # Simulated trainings have one device each: as many at a time as there are real ones.
    alone = {"devices": real.devices // real.devices_per_experiment, "devices_per_experiment": 1}
    simulated = {**alone, "backend": "sim", "preset": None, "accelerator": ""}
    inner = _run(
        {**options, **simulated, "trainer": _inner_trainer(real), "cluster": cluster},
        {"gpu_hours": real.gpu_hours, "data": options["sim_data"], "seeds": options["inner_blocks"]},
        base,
    )
    unseen = {**options, **simulated, "trainer": "h100-5min", "data": None, "cluster": None}
    terms = EvolutionTerms(
        name=options["name"],
        seeds=tuple(seeds),
        controls=tuple(controls),
        final_controls=tuple(name for name, file in controls.items() if can_gain(file)),
        generations=options["generations"],
        population=options["population"],
        opening_blocks=options["opening_blocks"],
        inner=Rung(INNER, inner, options["population"], LEAST_BLOCKS, options["inner_blocks"], LEAST_BLOCKS, ALPHA),
        rungs=tuple(
            _rung(name, options, base + first, hours, entrants)
            for name, first, hours, entrants in (
                ("short", SHORT_AT, real.gpu_hours / 2, options["finalists"]),
                ("long", LONG_AT, real.gpu_hours, (options["finalists"] + 1) // 2),
            )
            if options[f"{name}_seeds"]
        ),
        confirmation=real,
        final_blocks=options["final_seeds"],
        unseen=_run(unseen, {"gpu_hours": None, "devices": 1, "seeds": options["unseen_seeds"]}, base + UNSEEN_AT),
        unseen_blocks=options["unseen_seeds"],
        most_members=options["most_members"],
        lanes=options["lanes"],
        processes=options["processes"],
        training_s=USUAL * session.target_of(real).longest_s,
        max_gpu_hours=options["max_gpu_hours"] or 0.0,
        dollars_per_gpu_hour=options["dollars_per_gpu_hour"],
        rewriter=options["rewriter"],
        total_allowance=Allowance(options["max_total_tokens"], options["max_total_usd"]),
        seed=options["seed"],
        command=shlex.join(["metaloop", *sys.argv[1:]]),
        version=__version__,
    )
    return _within_budget(terms)


def stages_of(terms: EvolutionTerms) -> dict[str, tuple[RunTerms, str]]:
    """Every stage's terms and the split that it is scored on."""
    races = {rung.name: (rung.run, SELECTION_SPLIT) for rung in (terms.inner, *terms.rungs)}
    return {
        OPENING: (terms.inner.run, SELECTION_SPLIT),
        **races,
        CONFIRMATION: (terms.confirmation, SPLIT),
        HALF: (half_of(terms.confirmation), SPLIT),
    }


def _run(options: dict[str, Any], changes: dict[str, Any], seed: int) -> RunTerms:
    made = make_terms({**options, **changes, "seed": seed}, (), {})
    return msgspec.structs.replace(made, confirm="ends", total_allowance=UNLIMITED)  # the total is the evolution's


def _rung(name: str, options: dict[str, Any], seed: int, gpu_hours: float, entrants: int) -> Rung:
    blocks = options[f"{name}_seeds"]
    if blocks < LEAST_REAL_BLOCKS:
        raise UsageError(f"--{name}-seeds must be 0 (no such rung) or at least {LEAST_REAL_BLOCKS}, got {blocks}.")
    run = _run(options, {"gpu_hours": gpu_hours, "seeds": blocks}, seed)
    return Rung(name, run, entrants, LEAST_REAL_BLOCKS, blocks, 1, ALPHA)


def _inner_trainer(real: RunTerms) -> str:
    return "surrogate" if real.trainer == "nanogpt" else real.trainer


def can_gain(file: OrgFile) -> bool:
    """Whether any of its mergers ever merges; a trunk that never moves gains exactly nothing, at the full price."""
    policies = [member.policy for member in file.to_organization().members if member.kind == "merger"]
    return any(policy["strategy"] != "never" for policy in policies)


def _within_budget(terms: EvolutionTerms) -> EvolutionTerms:
    """The terms with ``max_gpu_hours`` set: what was asked for, else what the plan comes to."""
    from metaloop.edges import session
    from metaloop.edges.evolution.real import most_hours

    plan = make_plan(terms)
    if not plan.gpu_hours:
        return terms
    spare = terms.lanes * most_hours(terms.confirmation, session.target_of(terms.confirmation).longest_s)
    if not terms.max_gpu_hours:
        return msgspec.structs.replace(terms, max_gpu_hours=round(plan.gpu_hours + spare, 4))
    if terms.max_gpu_hours < spare:
        raise UsageError(
            f"--max-gpu-hours {terms.max_gpu_hours:g} does not pay for one real org run, which may take up to "
            f"{spare:.3g} GPU-hours with its confirmation. Grant more, or lower --gpu-hours."
        )
    return terms
