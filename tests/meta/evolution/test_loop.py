"""The loop over org runs that are a formula: it finds what is planted, keeps its word on seeds, and resumes."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest

from metaloop.files.run_folder import read_lines
from metaloop.meta.evolution.evolve import Evolution
from metaloop.meta.evolution.memory import Remembering
from metaloop.meta.evolution.terms import CONFIRMATION, HALF, OPENING, EvolutionTerms, Measured, Request
from metaloop.vocabulary.errors import BudgetSpent, FileError
from tests.meta.evolution.planted import CONTROLS, SEEDS, Formula, evolution, evolution_terms, truth


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evolution, Formula, Path]:
    place, measure = tmp_path_factory.mktemp("whole"), Formula()
    done = evolution(place, measure, evolution_terms())
    done.run()
    return done, measure, place


Whole = tuple[Evolution, Formula, Path]


class TestWhatItFinds:
    def test_the_parent_is_the_best_of_those_given(self, whole: Whole) -> None:
        done, _, _ = whole
        assert done.parent == max(SEEDS, key=lambda name: truth(done.organizations[name]))

    def test_the_winner_is_truly_better_than_its_parent(self, whole: Whole) -> None:
        done, _, _ = whole
        assert truth(done.organizations[done.winner]) > truth(done.organizations[done.parent]) + 0.02

    def test_an_accepted_child_is_the_next_champion(self, whole: Whole) -> None:
        done, _, _ = whole
        races = [race for race in done.races if race.rung == "inner"]
        assert [race.generation for race in races] == [1, 2, 3, 4]
        for race, following in pairwise(races):
            assert following.champion == (race.verdict.accepted or race.champion)

    def test_every_race_has_its_controls_and_twins(self, whole: Whole) -> None:
        done, _, _ = whole
        for race in done.races:
            present = {standing.name for standing in race.verdict.standings} | {race.champion}
            assert set(CONTROLS) <= present
            assert {f"evolved-g{race.generation}-twin", f"evolved-g{race.generation}-null"} <= present
            assert race.verdict.accepted not in CONTROLS

    def test_the_null_child_differs_by_exactly_nothing(self, whole: Whole) -> None:
        done, _, _ = whole
        nulls = [s for race in done.races for s in race.verdict.standings if s.name.endswith("-null")]
        assert nulls
        assert {standing.difference for standing in nulls} == {0.0}


class TestSeeds:
    def test_no_two_stages_share_an_org_run_seed(self, whole: Whole) -> None:
        _, measure, _ = whole
        stages: dict[str, set[int]] = {}
        for request in measure.asked:
            stages.setdefault(request.stage, set()).add(request.seed)
        assert stages[CONFIRMATION] == stages[HALF]  # paired on purpose
        apart = [stages[s] for s in (OPENING, "inner", "short", CONFIRMATION)]
        assert sum(map(len, apart)) == len(set().union(*apart))

    def test_every_generation_races_on_fresh_seeds(self, whole: Whole) -> None:
        _, measure, _ = whole
        by_child: dict[str, set[int]] = {}
        for request in measure.asked:
            if request.stage == "inner" and "-g" in request.name and request.name[-1].isdigit():
                by_child.setdefault(request.name.split("-g")[1][0], set()).add(request.seed)
        firsts = {generation: min(seeds) for generation, seeds in by_child.items()}
        assert len(set(firsts.values())) == len(firsts)

    def test_confirmation_pairs_everyone_on_the_same_seeds(self, whole: Whole) -> None:
        done, _, _ = whole
        scores = done.scores[CONFIRMATION]
        assert set(scores.scores) == {done.winner, done.parent, "solo-greedy", "random-search"}
        assert all(len(found) == len(scores.seeds) == 4 for found in scores.scores.values())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evolution, Formula, Path]:
    place, measure = tmp_path_factory.mktemp("small"), Formula()
    done = evolution(place, measure, small_terms())
    done.run()
    return done, measure, place


def small_terms() -> EvolutionTerms:
    return evolution_terms(generations=2, population=3)


class TestResume:
    @pytest.mark.parametrize("number", range(5))
    def test_killed_anywhere_it_ends_the_same_and_pays_once(self, small: Whole, tmp_path: Path, number: int) -> None:
        done, measure, place = small
        left, paid = len(measure.asked), []
        rng = random.Random(number)
        while True:
            part = Formula(dies_after=rng.randint(1, max(2, left // 2)))
            again = evolution(tmp_path, part, small_terms())
            try:
                again.run()
            except KeyboardInterrupt:
                paid += part.asked
                left -= len(part.asked)
                continue
            paid += part.asked
            break
        assert (again.winner, again.parent, again.lineage, again.races) == (
            done.winner,
            done.parent,
            done.lineage,
            done.races,
        )
        assert again.scores == done.scores
        assert sorted(paid) == sorted(measure.asked)
        assert len(set(paid)) == len(paid)
        whole_file, other_file = (read_lines(p / "measured.jsonl", Measured) for p in (place, tmp_path))
        assert sorted(whole_file, key=str) == sorted(other_file, key=str)

    def test_a_torn_last_line_is_measured_again(self, small: Whole, tmp_path: Path) -> None:
        _, measure, place = small
        data = (place / "measured.jsonl").read_bytes()
        (tmp_path / "measured.jsonl").write_bytes(data[:-20])
        again = Formula()
        evolution(tmp_path, again, small_terms()).run()
        assert again.asked == measure.asked[-1:]

    def test_a_result_of_other_files_is_refused(self, small: Whole, tmp_path: Path) -> None:
        _, _, place = small
        text = (place / "measured.jsonl").read_text()
        digest = read_lines(place / "measured.jsonl", Measured)[0].digest
        (tmp_path / "measured.jsonl").write_text(text.replace(digest, "0" * 64))
        with pytest.raises(FileError, match="other files than now"):
            evolution(tmp_path, Formula(), small_terms()).run()


class Broke(Formula):
    """The device time is spent when confirmation begins."""

    def __call__(self, organizations, requests):  # type: ignore[no-untyped-def]
        if requests[0].stage == CONFIRMATION:
            raise BudgetSpent("0.001 GPU-hours are left")
        return super().__call__(organizations, requests)


def test_a_spent_budget_ends_it_with_what_it_has(tmp_path: Path) -> None:
    done = evolution(tmp_path, Broke(), small_terms())
    done.run()
    assert done.ran_out
    assert done.winner
    assert CONFIRMATION not in done.scores


def test_without_any_difference_nothing_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.meta.evolution.planted.truth", lambda organization: 1.0)
    done = evolution(tmp_path, Formula(noise=0.2), evolution_terms(generations=2, population=4))
    done.run()
    assert [race.verdict.accepted for race in done.races if race.rung == "inner"] == [None] * 2


def test_the_memory_asks_only_for_what_is_new(tmp_path: Path) -> None:
    measure = Formula()
    done = evolution(tmp_path, measure, small_terms())
    memory = Remembering(measure, tmp_path / "measured.jsonl")
    organizations = {name: done.organizations[name] for name in SEEDS}
    first = list(memory(organizations, [Request("x", SEEDS[0], 1)]))
    both = list(memory(organizations, [Request("x", SEEDS[0], 1), Request("x", SEEDS[1], 1)]))
    assert both[0] == first[0]
    assert len(measure.asked) == 2
