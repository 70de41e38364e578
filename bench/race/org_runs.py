"""Scores of simulated org runs, recorded once: blocks (org-run seeds) × twins of a shipped organization.

A twin must have luck of its own: the same organization on the same seed is the same org run, byte for byte. All that
members draw comes from streams named by the member (metaloop/brains/brain.py), so a twin is the organization with
renamed members: it decides by other draws, on the same machines and training seeds. The score is the confirmed
gain in bpb (all org runs have the same GPU-hours): baseline minus trunk on fresh paired seeds, ``confirm`` split.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import numpy as np
from rich.progress import track

from bench.race.problems import Bootstrapped, Scores
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster_file import find_cluster
from metaloop.execution.simulator.run import simulate_org
from metaloop.execution.trainer import SimulatedTrainer, TrainerSpec, describe, make_simulated
from metaloop.files.org_file import load_organization
from metaloop.meta.confirmed import trunk_merges
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import Config, TrainingRequest
from metaloop.vocabulary.seeds import confirmation_seed

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).resolve().parent / "org_runs.json"
ORGANIZATIONS = ("solo-greedy", "bold-startup", "scout-and-refine")
GPU_HOURS = 0.02
"""Of one org run: 72 device-seconds, some 25 trainings of ``cpu-tiny``."""
DEVICES = 2
PAIRS = 4
TWINS = 9
"""As many as the largest race has entrants."""
SPEC = TrainerSpec("surrogate", "cpu-tiny", "stdlib")


def twin(organization: Organization, number: int) -> Organization:
    """The organization with other members' names, and so with other luck; links follow."""
    names = {member.name for member in organization.members}

    def renamed(name: str) -> str:
        return f"{name}-twin-{number}" if name in names else name

    members = tuple(
        msgspec.structs.replace(member, name=renamed(member.name), links=tuple(map(renamed, member.links)))
        for member in organization.members
    )
    return msgspec.structs.replace(organization, members=members)


def org_run(organization: Organization, seed: int, trainer: SimulatedTrainer) -> float | None:
    """Confirmed gain in bpb of one simulated org run; ``None`` where no confirmation pair has a score."""
    backend = Simulator(trainer, DEVICES, find_cluster("laptop"))
    run = simulate_org(OrgRunTerms(organization, seed, GPU_HOURS * 3600), describe(SPEC), backend)
    merges = trunk_merges(run.events)
    trunk: Config = merges[-1].config if merges else {}
    gains = [_gain(trunk, confirmation_seed(seed, pair), trainer) for pair in range(PAIRS)]
    known = [gain for gain in gains if gain is not None]
    return math.fsum(known) / len(known) if known else None


def _gain(trunk: Config, seed: int, trainer: SimulatedTrainer) -> float | None:
    both = [trainer.train(TrainingRequest(config, seed, score_on=("confirm",))) for config in ({}, trunk)]
    if any(result.state != "ok" for result in both):
        return None
    return both[0].bpb["confirm"] - both[1].bpb["confirm"]


def record(seeds: int) -> None:
    """Write :data:`RECORDED`: all of :data:`ORGANIZATIONS` on org-run seeds 0 to ``seeds`` − 1."""
    trainer = make_simulated(SPEC)
    scores: dict[str, list[list[float | None]]] = {}
    for name in ORGANIZATIONS:
        twins = [twin(load_organization(ROOT / "orgs" / name), number) for number in range(TWINS)]
        rows = [[org_run(one, seed, trainer) for one in twins] for seed in track(range(seeds), name)]
        scores[name] = [[None if gain is None else round(gain, 4) for gain in row] for row in rows]
    terms = {"gpu_hours": GPU_HOURS, "devices": DEVICES, "confirm_pairs": PAIRS, "trainer": SPEC.trainer}
    head = json.dumps({"command": f"python bench/racing.py --record {seeds}", "terms": terms})
    lines = [f'"{name}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]" for name, rows in scores.items()]
    RECORDED.write_text(f'{{"about": {head}, "gain_bpb": {{\n' + ",\n".join(lines) + "\n}}\n")


def recorded() -> list[Bootstrapped]:
    """The recorded org runs as problems. Seeds on which a twin has no score are left out."""
    tables = json.loads(RECORDED.read_text())["gain_bpb"]
    return [Bootstrapped(name, _complete(rows)) for name, rows in tables.items()]


def _complete(rows: list[list[float | None]]) -> Scores:
    return np.array([row for row in rows if None not in row], dtype=float)
