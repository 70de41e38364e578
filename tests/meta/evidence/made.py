"""Results without running anything: org runs whose gains and anytime curves are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from metaloop.files.markdown_edit import set_value
from metaloop.files.org_file import OrgFile, parse_organization, read_organization
from metaloop.files.role_file import RoleFile, load_library
from metaloop.files.run_folder import RunTerms
from metaloop.meta.confirmed import anytime_area
from metaloop.meta.measure import measure_organization, rank
from metaloop.meta.results import CurvePointGain, OrganizationResult, OrgRunResult, Results

ROOT = Path(__file__).resolve().parents[3]
SHIPPED: dict[str, OrgFile] = {
    path.name: read_organization(path) for path in sorted((ROOT / "orgs").iterdir()) if (path / "ORG.md").exists()
}
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


def around(mean: float, shift: int = 0) -> list[float]:
    """Ten gains around a mean; another ``shift`` pairs them with others' differently."""
    offsets = (-3, -2, -1, -1, 0, 0, 1, 1, 2, 3)
    return [mean + 0.01 * offsets[(place + shift) % 10] for place in range(10)]
