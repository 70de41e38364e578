"""Simulated org runs for tests: the driver's formula as a simulated trainer, and faults drawn from a number."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import msgspec

from metaloop.actors.controller import Controller
from metaloop.actors.run_context import RunContext
from metaloop.actors.state import replay
from metaloop.execution.backend import Hosting
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster import IDEAL, Cluster
from metaloop.execution.simulator.cluster_file import SECTIONS, fields_of
from metaloop.execution.simulator.run import SimulatedRun, simulate_org
from metaloop.execution.trainer import Target, TrainerSpec
from metaloop.files.journal import MemoryJournal
from metaloop.files.org_file import load_organization
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.canaries import NO_CANARIES, CanaryTerms
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import CurvePoint, TrainingRequest, TrainingResult
from tests import invariant_checks as checks
from tests.driver import SPACE, score

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = (
    "bold-startup", "careful-lab", "daily-standup", "no-op", "random-search", "solo-greedy", "specialists", "tpe",
)  # fmt: skip
"""What fault cases draw from. Kept as it is: with another list, a case's number would name another case."""
TARGET = Target(TrainerSpec("formula", "bowl", "none"), SPACE.knobs, {"trainer": "formula"}, {}, 60.0)


class Formula:
    """The driver's bowl as a simulated trainer."""

    def __init__(self, noise: float = 0.004) -> None:
        self._noise = noise

    def train(self, request: TrainingRequest) -> TrainingResult:
        return self.simulate(request, 1.0)

    def simulate(self, request: TrainingRequest, speed: float) -> TrainingResult:
        result = score(request, self._noise)
        curve = tuple(CurvePoint(p.fraction, p.seconds / speed, p.bpb) for p in result.curve)
        return msgspec.structs.replace(result, seconds=result.seconds / speed, curve=curve)


@dataclass(frozen=True)
class FaultCase:
    """A cluster, an organization and a size, all drawn from ``number``."""

    number: int
    cluster: Cluster
    organization: Organization
    devices: int
    budget_s: float
    canaries: CanaryTerms = NO_CANARIES


RANGES = {
    "resend_s": (0.1, 10.0), "restart_s": (0.0, 20.0), "preempted_s": (1.0, 60.0), "role_restart_s": (0.0, 10.0),
    "controller_restart_s": (0.0, 20.0), "deaths_per_hour": (1.0, 400.0), "preemptions_per_hour": (1.0, 200.0),
    "controller_deaths_per_hour": (1.0, 120.0), "throttles_per_hour": (1.0, 60.0), "throttle_s": (1.0, 100.0),
    "straggler_factor": (1.0, 40.0), "slowdown": (0.5, 2.0), "standup_s": (0.0, 5.0), "devices_per_host": (1, 8),
}  # fmt: skip
"""Where a field's own bounds are far wider than a run of a minute or two can tell apart."""


def fault_case(number: int) -> FaultCase:
    """Case ``number``: about half of all fields are off, the others anywhere in their range."""
    rng = random.Random(f"fault case {number}")
    sections = {}
    for section in SECTIONS:
        drawn = {}
        for knob in fields_of(section):
            low, high = RANGES.get(knob.name, (0.0, 5.0) if knob.name.endswith("_s") else (knob.low, knob.high))
            if rng.random() < 0.5:
                continue
            value = float(low or 0.0) + (float(high or 0.0) - float(low or 0.0)) * rng.random() ** 2
            drawn[knob.name] = int(value) if knob.kind == "int" else value
        sections[section] = drawn
    devices = rng.choice([1, 1, 2, 3, 8, 32])
    budget_s = devices * rng.uniform(40.0, 200.0)
    sections["faults"]["until_s"] = rng.uniform(0.2, 0.8) * budget_s / devices
    sections["thinking"]["usd_per_million_tokens"] = 1.0
    cluster = msgspec.convert({"name": f"case-{number}", **sections}, Cluster)
    return FaultCase(number, cluster, load_organization(ROOT / "orgs" / rng.choice(SHIPPED)), devices, budget_s)


def simulate(case: FaultCase) -> SimulatedRun:
    backend = Simulator(Formula(), case.devices, case.cluster)
    return simulate_org(
        OrgRunTerms(case.organization, case.number, case.budget_s, canaries=case.canaries), TARGET, backend
    )


def check_all(case: FaultCase) -> SimulatedRun:
    """Every invariant that one org run can show."""
    run = simulate(case)
    checks.check_time(run.events)
    checks.check_waiting(run.events)
    checks.check_2_replay(run.events, run.state)
    checks.check_3_ledger(run.events, run.state, longest_in_flight(case))
    checks.check_4_final_states(run.events, run.state)
    checks.check_5_trunk(run.events, run.state, case.organization, SPACE)
    checks.check_6_drained(run.state)
    return run


def longest_in_flight(case: FaultCase) -> float:
    """How long a training may hold its device beyond the budget: dispatched, hung until killed, lost messages."""
    delays, faults = case.cluster.delays, case.cluster.faults
    messages = 200 * (delays.controller_s + delays.git_s)
    waits = delays.dispatch_s + delays.report_s + 20 * faults.resend_s + faults.restart_s + 10 * faults.preempted_s
    return TARGET.longest_s + messages + waits + faults.controller_restart_s


def resume_from(case: FaultCase, events: list[ev.Event]) -> SimulatedRun:
    """Take up a journal that ends anywhere, as after ``kill -9`` between any two events, and go on to the end."""
    organization = case.organization
    teams = {member.name: member.team for member in organization.members}
    journal = MemoryJournal()
    journal.events = list(events)
    state = replay(events, teams)
    controller = Controller(RunContext(organization, SPACE, case.number, state, journal))
    Simulator(Formula(), case.devices, IDEAL).host(
        Hosting(
            controller=controller,
            members=organization.members,
            space=SPACE,
            seed=case.number,
            starts_at=state.now,
            begin=lambda: controller.resume(state.now),
            poll=lambda _: [],
            longest_s=TARGET.longest_s,
            revive=lambda _: (controller, []),
            commits=lambda: 0,
        )
    )
    return SimulatedRun(journal.events, state)
