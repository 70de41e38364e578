"""A planted knob is found, noise is not, and few organizations say nothing."""

from __future__ import annotations

import random

import pytest

from metaloop.files.org_file import OrgFile
from metaloop.meta.evidence import importance as module
from metaloop.meta.evidence.importance import LEAST_TRIALS, importance
from metaloop.meta.mutations.parametric import genome, mutate
from tests.meta.evidence.made import SHIPPED

SOLO, STANDUP = SHIPPED["solo-greedy"], SHIPPED["daily-standup"]
NAMES = ("local-proposer: boldness", "local-proposer: follow_wins", "local-proposer: memory", "cadence.lookahead")


def drawn(parent: OrgFile, names: tuple[str, ...], rng: random.Random) -> OrgFile:
    genes = genome(parent)
    return mutate(parent, {name: genes[name].knob.sample(rng) for name in names if name in genes})


def measured(number: int, *, planted: bool) -> list[tuple[OrgFile, float]]:
    """Organizations whose gain is the nearer to 1 the nearer boldness is to 0.3, or noise alone."""
    rng = random.Random(11)
    found = []
    for _ in range(number):
        organization = drawn(SOLO, NAMES, rng)
        boldness = float(genome(organization)["local-proposer: boldness"].value)
        found.append((organization, rng.gauss(0.0, 0.02) - (abs(boldness - 0.3) if planted else 0.0)))
    return found


def test_the_planted_knob_is_the_most_important() -> None:
    found = importance(measured(40, planted=True), seed=3)
    best = found.genes[0]
    assert best.gene == "local-proposer: boldness"
    assert best.p_value <= 0.05
    assert best.ped_anova > 2 * best.chance
    assert best.fanova == max(gene.fanova or 0.0 for gene in found.genes)
    assert {gene.gene for gene in found.genes} == set(NAMES)
    assert sum(gene.ped_anova for gene in found.genes) == pytest.approx(1.0)
    assert (found.trials, found.top) == (40, 5)


def test_noise_alone_is_called_chance() -> None:
    found = importance(measured(30, planted=False), seed=3)
    assert all(gene.p_value > 0.01 for gene in found.genes)
    assert "by chance 0.2 would" in found.remark


def test_a_knob_that_only_some_have_is_judged_among_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHUFFLES", 19)
    rng, names = random.Random(5), NAMES[:1]
    found = [(drawn(SOLO, names, rng), -rng.random()) for _ in range(10)]
    for _ in range(50):
        organization = drawn(STANDUP, ("explorer: boldness", *names), rng)
        found.append((organization, -abs(float(genome(organization)["explorer: boldness"].value) - 0.1)))
    gene = importance(found, seed=1).genes[0]
    assert gene.gene == "explorer: boldness"
    assert gene.present == 50
    assert gene.fanova is None
    assert gene.ped_anova > 5 * gene.chance
    assert gene.p_value == 0.05


def test_few_organizations_and_equal_ones_say_nothing() -> None:
    few = importance(measured(LEAST_TRIALS - 1, planted=True), seed=0)
    assert few.genes == ()
    assert f"it takes {LEAST_TRIALS}" in few.remark
    assert "gained the same" in importance([(o, 1.0) for o, _ in measured(20, planted=True)], seed=0).remark
    assert "No gene ever varied" in importance([(SOLO, float(k)) for k in range(20)], seed=0).remark


def test_a_seed_fixes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHUFFLES", 9)
    found = measured(24, planted=True)
    assert importance(found, seed=2) == importance(found, seed=2)
