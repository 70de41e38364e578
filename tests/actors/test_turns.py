"""Whose turn it is: everyone's alike, or that of whoever brings most for the device time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from metaloop.actors.state import OrgState
from metaloop.actors.turns import STARTS, Turns
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster_file import find_cluster
from metaloop.execution.simulator.run import simulate_org
from metaloop.execution.trainer import TrainerSpec, describe, make_simulated
from metaloop.files.org_file import load_organization
from metaloop.files.policies import defaults
from metaloop.vocabulary.organization import Member, Organization
from metaloop.vocabulary.organization import Turns as Rule
from metaloop.vocabulary.records import TRUNK, Outcome, Purpose

ORGS = Path(__file__).resolve().parents[2] / "orgs"


def member(name: str) -> Member:
    return Member(name, name, "proposer", defaults("proposer"), "scripted", "")


A, B = member("a"), member("b")


def outcome(author: str, delta: float | None, seconds: float = 2.0, purpose: Purpose = "candidate") -> Outcome:
    state = "diverged" if delta is None else "ok"
    bpb = None if delta is None else 3.0 + delta
    return Outcome("e1", "p1", author, "", TRUNK, purpose, {}, {}, 0, state, bpb, delta, seconds)  # type: ignore[arg-type]


class Floor:
    """Two proposers, asked and told by hand."""

    def __init__(self, rule: Rule = "by-gain", asked: int = STARTS) -> None:
        self.state = OrgState()
        self.state.decisions.update({"a": asked, "b": asked})
        self.turns = Turns(Organization("org", "", "", (A, B), turns=rule), self.state)

    def tell(self, *outcomes: Outcome) -> None:
        self.state.outcomes.extend(outcomes)

    def first(self) -> str:
        return self.turns.first((A, B)).name


class TestEven:
    def test_whoever_was_asked_least(self) -> None:
        floor = Floor("even")
        floor.tell(*[outcome("a", -1.0)] * 5)
        floor.state.decisions["a"] += 1
        assert floor.first() == "b"
        floor.state.decisions["b"] += 2
        assert floor.first() == "a"


class TestByGain:
    def test_everyone_starts_first(self) -> None:
        floor = Floor(asked=0)
        floor.state.decisions["a"] = STARTS
        floor.tell(outcome("a", -1.0))
        assert floor.first() == "b"

    def test_who_brings_more_is_asked(self) -> None:
        floor = Floor()
        floor.tell(outcome("a", 0.2), outcome("b", -0.1))
        assert floor.first() == "b"
        floor.tell(outcome("a", -0.4))
        assert floor.first() == "a"

    def test_seconds_count(self) -> None:
        floor = Floor()
        floor.tell(outcome("a", -0.2, seconds=8.0), outcome("b", -0.15, seconds=2.0))
        assert floor.first() == "b"

    @pytest.mark.parametrize("scale", [1e-4, 1.0, 1e3])
    def test_what_a_bit_is_worth_does_not_matter(self, scale: float) -> None:
        floor = Floor()
        floor.tell(outcome("a", -0.2 * scale), outcome("b", -0.3 * scale), outcome("b", 0.1 * scale))
        assert floor.first() == "a"

    def test_who_runs_dry_gives_way(self) -> None:
        floor = Floor()
        floor.tell(outcome("b", 0.1), outcome("a", -1.0))
        dry = 0
        while floor.first() == "a":
            floor.tell(outcome("a", 0.1))
            dry += 1
            assert dry < 60, "b was never asked again"
        assert dry >= 2

    def test_what_failed_costs_and_brings_nothing(self) -> None:
        floor = Floor()
        floor.tell(outcome("a", None, seconds=30.0), outcome("b", -0.01))
        assert floor.first() == "b"

    def test_repeats_are_nobodys_doing(self) -> None:
        floor = Floor()
        floor.tell(outcome("a", -0.1), outcome("b", -0.2), *[outcome("b", 0.0, 9.0, "repeat")] * 4)
        assert floor.first() == "b"

    def test_nothing_known_is_even(self) -> None:
        floor = Floor()
        floor.state.decisions["a"] += 1
        assert floor.first() == "b"

    def test_ties_go_to_whoever_was_asked_least(self) -> None:
        floor = Floor()
        floor.tell(outcome("a", 0.1), outcome("b", 0.1))
        floor.state.decisions["a"] += 1
        assert floor.first() == "b"

    def test_told_at_once_or_one_by_one_is_the_same(self) -> None:
        news = [outcome("ab"[i % 2], -0.1 * (i % 3), 1.0 + i) for i in range(9)]
        slow, quick = Floor(), Floor()
        for each in news:
            slow.tell(each)
            slow.first()
        quick.tell(*news)
        assert slow.first() == quick.first()
        assert [slow.turns._rate(n) for n in "ab"] == pytest.approx([quick.turns._rate(n) for n in "ab"])


def test_in_an_org_run_the_better_proposer_gets_the_device_time() -> None:
    """Beside a local proposer, whole draws gain nothing in the world from published figures; by-gain notices."""
    spec = TrainerSpec("h100-5min", "h100-5min", "3")
    target, trainer = describe(spec), make_simulated(spec)
    base = load_organization(ORGS / "solo-greedy")
    drawing = load_organization(ORGS / "random-search").of_kind("proposer")[0]
    mixed = msgspec.structs.replace(base, members=(drawing, *base.members))
    share: dict[str, float] = {}
    for rule in ("even", "by-gain"):
        organization = msgspec.structs.replace(mixed, turns=rule)
        run = simulate_org(
            OrgRunTerms(organization, 5, 6 * 3600.0), target, Simulator(trainer, 2, find_cluster("ideal"))
        )
        seconds: Counter[str] = Counter()
        for outcome in run.state.outcomes:
            seconds[outcome.author] += outcome.seconds  # type: ignore[assignment]
        share[rule] = seconds["local-proposer"] / (seconds["local-proposer"] + seconds["random-proposer"])
    assert share["by-gain"] > 0.8 > share["even"]
