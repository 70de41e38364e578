"""Invariant 7: with zero noise and zero latency, simulator and Ray merge the same commits.

Both host the surrogate without noise; under Ray it takes a fiftieth of the time it claims. Ray's processes keep no
order among themselves, which is a latency like any other: here their answers are taken in the order of the questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from metaloop.execution.backend import Backend
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.ray_backend import RayBackend
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster import IDEAL
from metaloop.execution.simulator.run import simulate_org
from metaloop.execution.surrogate.trainer import NOISELESS
from metaloop.execution.trainer import TrainerSpec, describe, make_simulated
from metaloop.files.org_file import load_organization
from metaloop.vocabulary import events as ev

ROOT = Path(__file__).resolve().parents[2]
SPEC = TrainerSpec("surrogate", "cpu-tiny", f"stdlib{NOISELESS}", pace=0.02)
BUDGET_S = 5.0


@pytest.fixture(scope="module")
def ray_backend() -> Iterator[Backend]:
    backend = RayBackend(SPEC, 1, in_order=True)
    yield backend
    backend.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["solo-greedy", "random-search", "daily-standup", "careful-lab", "specialists", "bold-startup"]
)
def test_7_simulator_and_ray_merge_the_same_commits(name: str, ray_backend: Backend) -> None:
    target = describe(SPEC)
    real = simulate_org(OrgRunTerms(load_organization(ROOT / "orgs" / name), 3, BUDGET_S), target, ray_backend)
    simulator = Simulator(make_simulated(SPEC), 1, IDEAL)
    simulated = simulate_org(
        OrgRunTerms(load_organization(ROOT / "orgs" / name), 3, 10 * BUDGET_S / SPEC.pace), target, simulator
    )
    # The end of the budget changes what is worth doing, and it comes earlier for Ray, which has real delays.
    ours = [e for e in real.events if isinstance(e, ev.Merged) and e.t < 0.8 * BUDGET_S]
    theirs = [e for e in simulated.events if isinstance(e, ev.Merged)]
    assert len(ours) >= 2
    assert [(e.branch, e.commit, e.config, e.delta) for e in ours] == [
        (e.branch, e.commit, e.config, e.delta) for e in theirs[: len(ours)]
    ]
