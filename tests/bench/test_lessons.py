"""The bench of lessons, small: its pairs share seeds, and lessons come from seeds that no pair uses."""

from __future__ import annotations

import pytest

from bench.lessons import APART, KINDS, Ground, interval, simulate
from metaloop.files.org_file import load_organization
from tests.mutated import ROOT


def test_every_kind_of_lesson_is_compared_on_the_same_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    simulate(["solo-greedy"], 2, 0.005, 2, 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("solo-greedy: 2 pairs, 0.005 GPU-hours, 2 devices; lessons of 1 org runs: ")
    assert [line.split(" gain ")[0].strip() for line in lines[2:-1]] == list(KINDS)
    assert lines[-1].startswith("  without, 2 budgets in one: gain ")
    assert all("difference " in line for line in lines[2:])


def test_a_run_without_lessons_is_the_plain_run_and_lessons_name_their_seeds() -> None:
    ground, organization = Ground(0.005, 2), load_organization(ROOT / "orgs" / "solo-greedy")
    lessons = ground.lessons(organization, [APART])
    assert lessons
    assert {one.source for one in lessons} == {f"solo-greedy/seed-{APART}"}
    assert ground.run(organization, 1) != ground.run(organization, 1, lessons)


def test_an_interval_is_told_with_its_exact_p() -> None:
    assert interval([0.2, 0.4, 0.3], [0.1, 0.1, 0.1]) == "+0.2000 [-0.0484, +0.4484], p = 0.25"
