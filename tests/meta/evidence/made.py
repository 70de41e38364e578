"""Results without running anything: org runs whose gains and anytime curves are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from metaloop.files.markdown_edit import set_value
from metaloop.files.org_file import OrgFile, parse_organization, read_organization
from metaloop.files.org_reader import organizations_at
from metaloop.files.role_file import RoleFile, load_library
from metaloop.files.run_folder import RunTerms
from metaloop.meta.confirmed import anytime_area
from metaloop.meta.evidence.ablation import ablations
from metaloop.meta.evidence.credit import indispensable, without_each_member
from metaloop.meta.evidence.importance import GeneImportance, Importance
from metaloop.meta.evidence.lineage import step
from metaloop.meta.evidence.report import Evidence, Making, observe, study
from metaloop.meta.measure import measure_organization, rank
from metaloop.meta.mutations.parametric import mutate
from metaloop.meta.results import CurvePointGain, OrganizationResult, OrgRunResult, Results

ROOT = Path(__file__).resolve().parents[3]
SHIPPED: dict[str, OrgFile] = {path.name: read_organization(path) for path in organizations_at(ROOT / "orgs")}
LIBRARY: dict[str, RoleFile] = load_library(ROOT / "roles")
GROUPS = ("optimizer", "schedule", "batch", "architecture", "regularization", "initialization")
BUDGET = 0.02
CONTROLS = ("solo-greedy", "tpe", "no-op")


def named(organization: OrgFile, name: str = "evolved") -> OrgFile:
    """The organization as it is once it was written out under a name of its own."""
    place = organization.folder.with_name(name) / "ORG.md"
    document = set_value(replace(organization.document, path=place), ("name",), name)
    return parse_organization(document, None, {role: file.document for role, file in organization.roles.items()})


def terms(backend: str = "sim", trainer: str = "surrogate", seeds: int = 6) -> RunTerms:
    return RunTerms((), backend, trainer, "cpu-tiny", "stdlib", BUDGET, 2, 100, seeds, 4, "0.1.0", "metaloop run")


def org_run(name: str, seed: int, gain: float | None, reached: Sequence[tuple[float, float]]) -> OrgRunResult:
    """An org run that ends at ``gain`` and has the curve ``reached``: (share of the budget, gain)."""
    curve = (CurvePointGain(0.0, 0.0), *(CurvePointGain(BUDGET * share, value) for share, value in reached))
    return OrgRunResult(
        name, seed, True, gain, None, 4, 4.0, None, BUDGET, 0.99, 36.0, 30, {"ok": 30}, 5, 1, 1000, 0.5,
        curve, anytime_area(curve, BUDGET), 0.01, BUDGET,
    )  # fmt: skip


def organization(name: str, gains: Sequence[float | None]) -> OrganizationResult:
    """Org runs on seeds 100, 101, …, each at half its gain after a quarter of the budget, at all of it after half."""
    runs = [
        org_run(name, 100 + index, gain, [(0.25, 0.5 * (gain or 0.0)), (0.5, gain or 0.0)])
        for index, gain in enumerate(gains)
    ]
    return measure_organization(name, name in CONTROLS, runs)


def results(gains: Mapping[str, Sequence[float | None]], backend: str = "sim", trainer: str = "surrogate") -> Results:
    """A measured run of these organizations."""
    seeds = max(len(values) for values in gains.values())
    ranked = rank([organization(name, values) for name, values in gains.items()])
    return Results(ranked, terms(backend, trainer, seeds), "runs/made")


def on_half(found: Results, name: str) -> Results:
    """The same, but one organization was granted half of the GPU-hours."""

    def half(of: OrganizationResult) -> OrganizationResult:
        runs = tuple(msgspec.structs.replace(run, budget_gpu_hours=BUDGET / 2) for run in of.org_runs)
        return msgspec.structs.replace(of, org_runs=runs)

    organizations = tuple(half(o) if o.name == name else o for o in found.organizations)
    return msgspec.structs.replace(found, organizations=organizations)


def around(mean: float, shift: int = 0) -> list[float]:
    """Ten gains around a mean; another ``shift`` pairs them with others' differently."""
    offsets = (-3, -2, -1, -1, 0, 0, 1, 1, 2, 3)
    return [mean + 0.01 * offsets[(place + shift) % 10] for place in range(10)]


def evidence(**fields: Any) -> Evidence:
    """Evidence of an organization that beats its parent and all controls, simulated and real, with two changes."""
    parent = SHIPPED["daily-standup"]
    child = named(mutate(parent, {"local-proposer: boldness": 0.5, "cadence.lookahead": 3}))
    simulated = results(
        {
            "evolved": around(1.2),
            "daily-standup": around(1.0, 3),
            "tpe": around(1.1, 5),
            "no-op": [0.0] * 10,
            "undo-cadence-lookahead": around(1.2),
            "undo-local-proposer-boldness": around(1.05, 2),
            **{f"without-{name}": around(1.19, 4) for name in ("local-proposer", "explorer", "combiner", "director")},
        }
    )
    real = results({"evolved": around(1.1), "daily-standup": around(1.0, 3), "tpe": around(1.1, 5)}, "ray", "nanogpt")
    changed, credited = ablations(parent, child), without_each_member(child)
    worlds = (observe("simulated", simulated, "evolved", parent.name), observe("real", real, "evolved", parent.name))
    step_over = next(s.evolved_minus for s in worlds[0].standings if s.part == "parent")
    whole = Evidence(
        name="evolved",
        description="Evolved from daily-standup.",
        parent=parent.name,
        worlds=worlds,
        lineage=(step(parent, child, "parametric", "; ".join(v.change for v in changed), step_over),),
        ablation=study(changed, simulated, "evolved", parent.name),
        credit=study(credited, simulated, "evolved", parent.name),
        indispensable=indispensable(child),
        importance=Importance(40, 5, (GeneImportance("quorum of 3", 12, 3, 0.7, 0.2, 0.01, None),), "1 of 1."),
        making=Making("metaloop evolve orgs/daily-standup", 7, {"metaloop": "0.1.0"}, "two cores", "an hour"),
        limits=("One parent was tried.",),
    )
    return msgspec.structs.replace(whole, **fields)
