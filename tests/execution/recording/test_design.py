"""The recording's design: valid, balanced, reproducible; and a recording that goes on where it stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import pytest

from metaloop.execution.backend import Hosting
from metaloop.execution.recording.design import BATCH, BEST, PHASES, Recorded, draw_batch
from metaloop.execution.recording.record import record
from metaloop.vocabulary.records import TrainingRequest, TrainingResult, digest
from tests.driver import SPACE, score


class Bench:
    """A backend that trains the driver's formula, and may be cut off."""

    name = "bench"
    devices = ("d0",)

    def __init__(self, most: int = 10**9) -> None:
        self.trained = 0
        self._most = most

    def host(self, hosting: Hosting) -> None:
        raise NotImplementedError

    def train_all(
        self,
        requests: Sequence[TrainingRequest],
        on_result: Callable[[int, TrainingResult], None],
        without: frozenset[str] = frozenset(),
    ) -> None:
        for index, request in enumerate(requests):
            if self.trained >= self._most:
                raise KeyboardInterrupt
            self.trained += 1
            on_result(index, score(request))

    def close(self) -> None:
        """Nothing is held."""


def recorded(path: Path, trainings: int, backend: Bench | None = None) -> list[Recorded]:
    return record(path, SPACE, 3, trainings, backend or Bench(), lambda _: None)


def test_every_kind_comes_in_its_share_and_every_configuration_is_valid(tmp_path: Path) -> None:
    rows = recorded(tmp_path / "r.jsonl", (PHASES[1][0] + 20) * BATCH)
    begins = 0
    for until, shares in PHASES:
        part = rows[begins * BATCH : until * BATCH]
        count = Counter(row.stage for row in part)
        assert count.keys() == shares.keys()
        for stage, share in shares.items():
            assert count[stage] / len(part) == pytest.approx(share, abs=0.05)
        begins = until
    defaults = SPACE.defaults()
    for row in rows:
        SPACE.validate(row.request.config)
        assert all(defaults[name] != value for name, value in row.request.config.items())
    assert len({row.request.seed for row in rows}) == len(rows)


def test_it_knows_the_good_regions_better_than_even_draws_do(tmp_path: Path) -> None:
    rows = recorded(tmp_path / "r.jsonl", 40 * BATCH)
    stages = PHASES[0][1]
    scores = {stage: sorted(r.bpb for r in rows if r.stage == stage and r.bpb is not None) for stage in stages}
    best = sorted(score for values in scores.values() for score in values)[: len(rows) // 20][-1]
    hits = {stage: sum(score <= best for score in values) / len(values) for stage, values in scores.items()}
    assert hits["near"] > 3 * hits["space"]


def test_in_the_end_the_best_are_trained_again_the_least_trained_first(tmp_path: Path) -> None:
    began = PHASES[1][0] * BATCH
    rows = recorded(tmp_path / "r.jsonl", began + BATCH)
    past, batch = rows[:began], rows[began:]
    means: dict[str, list[float]] = {}
    for row in past:
        if row.bpb is not None:
            means.setdefault(digest(row.request.config), []).append(row.bpb)
    ranked = sorted(means, key=lambda name: fmean(means[name]))
    best = set(ranked[: round(BEST * len(ranked))])
    again = [digest(row.request.config) for row in batch if row.stage == "again"]
    assert set(again) <= best
    assert len(set(again)) == len(again)
    assert max(len(means[name]) for name in again) <= min(len(means[name]) for name in best - set(again))


def test_an_interrupted_recording_goes_on_to_the_same_rows(tmp_path: Path) -> None:
    whole = recorded(tmp_path / "whole.jsonl", 3 * BATCH)
    with pytest.raises(KeyboardInterrupt):
        recorded(tmp_path / "cut.jsonl", 3 * BATCH, Bench(most=BATCH + 10))
    rest = Bench()
    assert recorded(tmp_path / "cut.jsonl", 3 * BATCH, rest) == whole
    assert rest.trained == 2 * BATCH - 10


def test_the_first_batch_needs_no_past() -> None:
    first = draw_batch(SPACE, 0, 0, [])
    assert {stage for _, stage, _ in first} == {"space", "walk"}
    assert first == draw_batch(SPACE, 0, 0, [])
    assert first != draw_batch(SPACE, 1, 0, [])
