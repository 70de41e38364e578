"""What thinking cost and brought, counted from journals and transcripts that are made here."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from metaloop.brains.model.chat import Answer
from metaloop.brains.model.transcript import Exchange, Transcripts
from metaloop.meta.measure import measure_organization
from metaloop.meta.results import OrgRunResult
from metaloop.meta.thinking import unaccounted
from metaloop.meta.waiting import Waiting
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import Cost


def told(folder: Path, member: str, index: int, answers: tuple[Answer, ...], usd: float) -> None:
    exchange = Exchange(member, "m", "propose", index, f"{index:016d}", (), answers, ("",), 1.0, usd)
    Transcripts(str(folder), member, Exchange).keep(exchange)


def rested(member: str, tokens: int, usd: float) -> ev.Event:
    return ev.Passed(1.0, member, "nothing", Cost(1.0, tokens, usd))


def test_answers_that_no_event_paid_for_are_counted(tmp_path: Path) -> None:
    told(tmp_path, "a", 0, (Answer("x", 90, 10), Answer("y", 190, 10)), 0.3)
    told(tmp_path, "a", 1, (Answer("x", 40, 10),), 0.05)
    told(tmp_path, "b", 0, (Answer("x", 5, 5),), 0.01)
    paid = [rested("a", 300, 0.3), rested("b", 10, 0.01)]
    assert unaccounted([*paid, rested("a", 50, 0.05)], tmp_path) == (0, 0.0)
    assert unaccounted(paid, tmp_path) == (50, pytest.approx(0.05))
    assert unaccounted([*paid, rested("b", 1000, 1.0)], tmp_path)[0] == 50, "another's surplus hides nothing"
    (tmp_path / "a" / "00009-torn.json").write_text("{")
    assert unaccounted(paid, tmp_path)[0] == 50
    assert unaccounted([rested("scripted", 7, 0.1)], tmp_path / "none") == (0, 0.0)


def org_run(seed: int, gain: float | None, **fields: object) -> OrgRunResult:
    made = OrgRunResult(
        "o", seed, gain is not None, gain, None, 2, 4.0, 3.0, 0.5, 0.5, 900.0, 3, {}, 0, 0, 0, 0.0, (), None, 0.0
    )
    return msgspec.structs.replace(made, **fields)


def test_gain_for_each_token_and_dollar_counts_all_that_was_charged() -> None:
    runs = [
        org_run(0, 0.2, tokens=150_000, usd=0.1, tokens_unaccounted=50_000, usd_unaccounted=0.1),
        org_run(1, 0.4, tokens=200_000, usd=0.2, refusals=3),
        org_run(2, None, tokens=9_000_000, usd=9.0),
    ]
    found = measure_organization("o", False, runs)
    assert found.gain_per_million_tokens == pytest.approx(0.6 / 0.4)
    assert found.gain_per_usd == pytest.approx(0.6 / 0.4)
    assert (found.tokens, found.tokens_unaccounted, found.refusals) == (9_350_000, 50_000, 3)
    assert found.thinks


def test_who_asks_no_model_has_no_gain_for_each_token() -> None:
    found = measure_organization("o", False, [org_run(0, 0.2)])
    assert (found.gain_per_million_tokens, found.gain_per_usd) == (None, None)
    assert found.gain_per_gpu_hour == pytest.approx(0.4)
    assert not found.thinks


def test_devices_that_idle_for_a_decision_are_told_by_cause_and_member() -> None:
    waits = (
        Waiting("end", "", 100.0),
        Waiting("proposal", "a", 60.0),
        Waiting("verdict", "m", 90.0),
        Waiting("messages", "", 9.0),
    )
    found = measure_organization("o", False, [org_run(0, 0.2, waiting=waits), org_run(1, 0.2, waiting=waits[1:2])])
    assert found.idle_thinking == (Waiting("proposal", "a", 120.0), Waiting("verdict", "m", 90.0))
    assert found.idle_thinking_share == pytest.approx(210.0 / 3600)
