"""Mutated organizations can run: a valid file is not enough, every invariant must hold of what it does."""

from __future__ import annotations

import random

import pytest

from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster import Cluster, Delays, Faults, Hardware
from metaloop.execution.simulator.run import simulate_org
from metaloop.execution.trainer import TrainerSpec, describe, make_simulated
from metaloop.files.org_file import OrgFile
from metaloop.meta.mutations.operator import Mutated
from metaloop.vocabulary.seeds import python_stream
from tests import invariant_checks as checks
from tests.mutated import MUTATIONS, SHIPPED, check_valid, ground_of

SURROGATE = TrainerSpec("surrogate", "cpu-tiny", "stdlib")
CLUSTER = Cluster(
    delays=Delays(dispatch_s=0.05, report_s=0.05, controller_s=0.001, git_s=0.02),
    hardware=Hardware(device_spread=0.05, drift_spread=0.05),
    faults=Faults(role_death_chance=0.01),
)
DEVICES = 3
BUDGET_S = 100.0
"""Device-seconds of the budget; a training takes two to three."""
CHAINS = 60
MOST_MEMBERS = 16
LONGEST_STANDUP_S = 2.0


def _chain(number: int) -> OrgFile:
    """A descendant, some generations down, that is not too large to run in a test."""
    rng = python_stream(number, "running chain")
    parent = list(SHIPPED.values())[number % len(SHIPPED)]
    for _ in range(rng.randint(1, 8)):
        mutated = rng.choice(MUTATIONS).apply(parent, ground_of(parent), random.Random(rng.getrandbits(32)))
        if mutated is not None and _small(mutated):
            parent = check_valid(mutated)
    return parent


def _small(mutated: Mutated) -> bool:
    child = mutated.organization
    members = sum(entry.count for entry in child.members)
    return members <= MOST_MEMBERS and child.settings["cadence.standup_seconds"] <= LONGEST_STANDUP_S


@pytest.mark.slow
def test_descendants_of_every_shipped_organization_run() -> None:
    target, trainer = describe(SURROGATE), make_simulated(SURROGATE)
    trained = 0
    for number in range(CHAINS):
        organization = _chain(number).to_organization()
        backend = Simulator(trainer, DEVICES, CLUSTER)
        run = simulate_org(OrgRunTerms(organization, number, BUDGET_S), target, backend)
        checks.check_time(run.events)
        checks.check_waiting(run.events)
        checks.check_2_replay(run.events, run.state)
        checks.check_3_ledger(run.events, run.state, target.longest_s)
        checks.check_4_final_states(run.events, run.state)
        checks.check_5_trunk(run.events, run.state, organization, target.space)
        checks.check_6_drained(run.state)
        trained += len(run.state.experiments)
    assert trained > CHAINS * DEVICES
