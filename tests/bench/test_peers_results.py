"""What a comparison comes to."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from scipy.stats import ttest_1samp

from bench.peers.compare import ROOT, go
from bench.peers.measured import simulated_organization
from bench.peers.results import Run, compare_all, holm, paired_t_test
from bench.peers.sides import SimulatedSides
from bench.peers.terms import Terms
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster import IDEAL
from metaloop.execution.simulator.run import simulate_org
from metaloop.execution.trainer import TrainerSpec, describe, make_simulated
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import Confirmation, OrgRunFolder, read_lines
from metaloop.meta.confirmation import Confirmer, trunk_history
from metaloop.meta.measure import measure_org_run
from metaloop.meta.results import CurvePointGain, OrgRunResult


def terms(seeds: int, peers: tuple[str, ...]) -> Terms:
    organizations = {"random-search": str(ROOT / "orgs" / "random-search")}
    return Terms(organizations, peers, False, 5, seeds, 0.004, 2, 2, "")


def result(name: str, seed: int, gain: float, reached: float) -> OrgRunResult:
    """An org run that steps to its gain after ``reached`` of 1 GPU-hour."""
    return OrgRunResult(
        organization=name, seed=seed, finished=True, gain_bpb=gain, gain_ci95=None, pairs=4, baseline_bpb=4.0,
        trunk_bpb=4.0 - gain, gpu_hours=1.0, utilization=1.0, makespan_s=1800.0, experiments=9, states={"ok": 9},
        merges=1, false_merges=0, tokens=0, usd=0.0,
        anytime=(CurvePointGain(0.0, 0.0), CurvePointGain(reached, gain)), anytime_area=None,
        confirmation_gpu_hours=0.0, budget_gpu_hours=1.0,
    )  # fmt: skip


def test_holm_by_hand() -> None:
    # 0.01 x 4, 0.02 x 3, then max(0.06, 0.03 x 2), then max(0.06, 0.5 x 1)
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_paired_t_test_is_scipys() -> None:
    rng = random.Random(1)
    values = [rng.gauss(0.3, 1.0) for _ in range(12)]
    assert paired_t_test(values) == pytest.approx(float(ttest_1samp(values, 0.0).pvalue))
    assert paired_t_test([0.5]) is None
    assert (paired_t_test([0.0, 0.0]), paired_t_test([0.5, 0.5])) == (1.0, 0.0)


def test_an_organization_beside_two_peers() -> None:
    runs = [Run("organization", "org", s, 0.0, result("org", s, 1.0 + 0.01 * s, 0.25)) for s in range(4)]
    runs += [Run("peer", "weak", s, 0.0, result("weak", s, 0.5 + 0.02 * s, 0.75)) for s in range(4)]
    runs += [Run("peer", "strong", s, 0.0, result("strong", s, 1.2, 0.9)) for s in range(1, 4)]
    found = compare_all(runs, {}, {})
    assert found.best_peer == "strong"
    strong, weak = found.beside
    assert (weak.peer, weak.n, strong.n) == ("weak", 4, 3)
    assert weak.difference == pytest.approx(0.485)
    assert (weak.share_to_reach, weak.peer_share_to_reach, weak.seeds_by_half) == (0.25, None, 4)
    assert (strong.share_to_reach, strong.peer_share_to_reach, strong.seeds_by_half) == (None, 0.9, 0)
    assert weak.p_value is not None
    assert strong.p_value is not None
    assert weak.p_value < 0.001 < strong.p_value < 0.01


def test_both_sides_are_confirmed_as_metaloop_confirms(tmp_path: Path) -> None:
    spec = TrainerSpec("surrogate", "cpu-tiny", "stdlib")
    target, trainer = describe(spec), make_simulated(spec)
    backend = Simulator(trainer, 2, IDEAL)
    run_terms = OrgRunTerms(load_organization(ROOT / "orgs" / "random-search"), 5, 30.0)
    ours = simulated_organization(run_terms, 3, target, backend)
    run = simulate_org(run_terms, target, backend)
    folder = OrgRunFolder(tmp_path)
    Confirmer(backend, 3, [], 1).confirm(folder, 5, trunk_history(run.events, run.state.root), lambda *_: None)
    theirs = measure_org_run(run.events, read_lines(folder.confirmations, Confirmation), 3)
    assert (ours.gain_bpb, ours.gain_ci95, ours.anytime) == (theirs.gain_bpb, theirs.gain_ci95, theirs.anytime)
    assert ours.gain_bpb


def test_a_comparison_goes_on_where_it_stopped(tmp_path: Path) -> None:
    go(tmp_path, terms(1, ("random",)))
    first = (tmp_path / "runs.jsonl").read_bytes()
    go(tmp_path, terms(2, ("random", "optuna-tpe")))
    lines = (tmp_path / "runs.jsonl").read_bytes()
    assert lines.startswith(first)
    runs = [(run.side, run.name, run.seed) for run in read_lines(tmp_path / "runs.jsonl", Run)]
    assert len(runs) == len(set(runs)) == 6
    assert "| optuna-tpe |" in (tmp_path / "table.md").read_text()
    assert (tmp_path / "anytime.svg").read_text().startswith("<?xml")


def test_the_same_seed_gives_the_same_run() -> None:
    with SimulatedSides(terms(1, ())) as sides:
        assert sides.peer("optuna-tpe-asha", 9).result == sides.peer("optuna-tpe-asha", 9).result
        assert sides.peer("optuna-tpe-asha", 9).result != sides.peer("optuna-tpe-asha", 10).result


def test_terms_may_grow_but_not_change() -> None:
    begun = terms(1, ("random",))
    assert begun.continued_by(terms(2, ("optuna-tpe",)))
    assert not begun.continued_by(Terms({}, (), True, 5, 1, 0.004, 2, 2, ""))
