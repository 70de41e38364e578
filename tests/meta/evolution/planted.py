"""An evolution whose org runs are a formula: what an organization gains follows from its files, plus noise by seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from metaloop.files.org_file import read_organization
from metaloop.files.org_record import OrgFile
from metaloop.files.policies import is_read
from metaloop.files.role_file import effective_policy, load_library
from metaloop.files.run_folder import RunTerms
from metaloop.meta.evolution.evolve import Evolution
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.meta.evolution.memory import Remembering
from metaloop.meta.evolution.terms import Born, EvolutionTerms, Measure, Measured, RaceRecord, Request, Rung
from metaloop.meta.mutations.operator import Ground
from metaloop.meta.mutations.registry import operators
from metaloop.meta.racing.race import RaceState

ROOT = Path(__file__).resolve().parents[3]
GROUPS = ("optimizer", "schedule", "architecture", "regularization", "batch", "initialization")
SEEDS = ("daily-standup", "bold-startup")
CONTROLS = ("solo-greedy", "random-search", "no-op")


def run_terms(backend: str, seed: int, seeds: int, gpu_hours: float = 0.02) -> RunTerms:
    return RunTerms((), backend, "formula", "none", "none", gpu_hours, 2, seed, seeds, 2, "0", "", confirm="ends")


def evolution_terms(**changes: object) -> EvolutionTerms:
    inner = Rung("inner", run_terms("sim", 0, 24), 12, 8, 24, 8, 0.05)
    short = Rung("short", run_terms("ray", 500_000, 3, 0.01), 2, 2, 3, 1, 0.05)
    terms = EvolutionTerms(
        name="evolved",
        seeds=SEEDS,
        controls=CONTROLS,
        final_controls=CONTROLS[:2],
        generations=4,
        population=12,
        opening_blocks=6,
        inner=inner,
        rungs=(short,),
        confirmation=run_terms("ray", 700_000, 4),
        final_blocks=4,
        unseen=run_terms("sim", 800_000, 4),
        unseen_blocks=4,
        most_members=12,
        lanes=1,
        processes=1,
        training_s=3.0,
        max_gpu_hours=10.0,
        dollars_per_gpu_hour=0.0,
        seed=3,
        command="metaloop evolve",
        version="0",
    )
    return msgspec.structs.replace(terms, **changes)


def truth(organization: OrgFile) -> float:
    """Bold proposers gain: 0.5 at no boldness, 1.0 at a mean of 0.8 and above; who never merges gains nothing."""
    policies = [
        (organization.kind(e), effective_policy(organization.roles[e.role], e.policy)) for e in organization.members
    ]
    if all(policy["strategy"] == "never" for kind, policy in policies if kind == "merger"):
        return 0.0
    bold = [float(policy["boldness"]) for kind, policy in policies if kind == "proposer"]  # type: ignore[arg-type]
    return 0.5 + 0.5 * min(1.0, sum(bold) / len(bold) / 0.8)


class Formula:
    """A measure that counts what it is asked for, and may die after so many org runs."""

    def __init__(self, noise: float = 0.05, dies_after: int | None = None) -> None:
        self.asked: list[Request] = []
        self._noise = noise
        self._dies_after = dies_after

    def __call__(self, organizations: Mapping[str, OrgFile], requests: Sequence[Request]) -> Iterator[Measured]:
        for request in requests:
            if self._dies_after is not None and len(self.asked) >= self._dies_after:
                raise KeyboardInterrupt
            self.asked.append(request)
            organization = organizations[request.name]
            real = request.seed >= 500_000
            luck = random.Random(f"{_luck(organization)} {request.seed}").gauss(0, self._noise)
            score = truth(organization) + luck
            yield Measured(*request, organization.digest, score, 0.01, 0.002 if real else 0.0, 0, 0.0, real)


def _luck(organization: OrgFile) -> str:
    """As in the simulator, luck follows from what the members are called and do, not from the organization's name."""
    members = [
        (m.name, sorted(str(item) for item in m.policy.items() if is_read(m.kind, item[0], m.policy)))
        for m in organization.to_organization().members
    ]
    return hashlib.sha256(str(members).encode()).hexdigest()


class Silent:
    def __init__(self) -> None:
        self.records: list[RaceRecord] = []

    def stage(self, text: str) -> None: ...

    def born(self, born: Born) -> None: ...

    def look(self, stage: str, state: RaceState) -> None: ...

    def raced(self, record: RaceRecord) -> None:
        self.records.append(record)


def evolution(place: Path, measure: Measure, terms: EvolutionTerms) -> Evolution:
    """An evolution in ``place``, over what was measured there."""
    folder = EvolutionFolder(place)
    given = {name: read_organization(ROOT / "orgs" / name) for name in (*terms.seeds, *terms.controls)}
    ground = Ground(load_library(ROOT / "roles"), GROUPS)
    memory = Remembering(measure, folder.measured)
    return Evolution(terms, given, ground, operators(None), memory, folder.raise_child, Silent())
