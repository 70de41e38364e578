"""The comparison of a real and a simulated run."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import msgspec
import pytest

from metaloop.files.run_folder import RunTerms
from metaloop.meta.fidelity import compare_worlds, kendall
from metaloop.meta.measure import measure_organization
from metaloop.meta.results import OrgRunResult, Results
from metaloop.vocabulary.errors import UsageError

TERMS = RunTerms((), "ray", "nanogpt", "cpu-tiny", "stdlib", 0.02, 2, 0, 6, 4, "0", "")
RUN = OrgRunResult(
    "", 0, True, 0.0, None, 4, 4.0, 4.0, 0.02, 0.99, 36.0, 30, {"ok": 30}, 5, 1, 0, 0.0, (), None, 0.01
)  # fmt: skip


def results(gains: dict[str, Sequence[float]], **fields: float) -> Results:
    organizations = []
    for name, values in gains.items():
        runs = [
            msgspec.structs.replace(RUN, organization=name, seed=seed, gain_bpb=gain, **fields)
            for seed, gain in enumerate(values)
        ]
        organizations.append(measure_organization(name, False, runs))
    return Results(tuple(organizations), TERMS, "out")


def spread(mean: float) -> list[float]:
    return [mean + 0.01 * k for k in (-2, -1, 0, 0, 1, 2)]


def test_equal_worlds_are_perfectly_faithful() -> None:
    world = results({name: spread(mean) for name, mean in (("a", 0.2), ("b", 0.6), ("c", 1.0), ("d", 1.4))})
    fidelity = compare_worlds(world, world)
    assert fidelity.tau == 1.0
    assert fidelity.tau_ci95 == (1.0, 1.0)
    assert fidelity.tau_ceiling == 1.0
    assert fidelity.best_agrees
    assert fidelity.best_real == "d"
    assert fidelity.gain_error == fidelity.utilization_error == fidelity.merges_error == 0.0


def test_errors_are_relative_to_reality_and_a_zero_gain_has_none() -> None:
    real = results({"a": spread(1.0), "b": spread(2.0), "no-op": [0.0] * 6})
    simulated = results({"a": spread(1.1), "b": spread(1.6), "no-op": [0.0] * 6}, utilization=0.96, experiments=33)
    fidelity = compare_worlds(real, simulated)
    errors = {o.name: o.gain.error for o in fidelity.organizations}
    assert errors["a"] == pytest.approx(0.1)
    assert errors["b"] == pytest.approx(-0.2)
    assert errors["no-op"] is None
    assert fidelity.gain_error == pytest.approx(0.15)
    both = math.sqrt(2) * 0.01 * math.sqrt(10 / 5) / math.sqrt(6)  # standard error of a difference of two such means
    assert fidelity.gain_error_floor == pytest.approx(math.sqrt(2 / math.pi) * both * (1 / 1.0 + 1 / 2.0) / 2)
    assert fidelity.utilization_error == pytest.approx(0.03)
    assert fidelity.experiments_error == pytest.approx(0.1)


def test_close_organizations_make_a_wide_interval_and_a_low_ceiling() -> None:
    rng = random.Random(5)
    gains = {f"o{i}": [1.0 + 0.001 * i + rng.gauss(0.0, 0.3) for _ in range(6)] for i in range(5)}
    fidelity = compare_worlds(results(gains), results(gains))
    assert fidelity.tau == pytest.approx(1.0)
    low, high = fidelity.tau_ci95
    assert low < 0.3
    assert high <= 1.0
    assert fidelity.tau_ceiling is not None
    assert fidelity.tau_ceiling < 0.5


def test_reversed_and_tied_rankings() -> None:
    assert kendall([1, 2, 3], [3, 2, 1]) == -1.0
    assert math.isnan(kendall([1, 2], [5, 5]))


def test_nothing_in_common_is_said() -> None:
    with pytest.raises(UsageError, match="1 finished organizations in common"):
        compare_worlds(results({"a": spread(1.0), "b": spread(2.0)}), results({"a": spread(1.0)}))
