"""``make chaos``, short: the first kills of its plan, on the same kind of cluster, with real trainings."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from bench.chaos import cause
from bench.chaotic.kills import KINDS, aims
from bench.chaotic.verdict import table


def test_every_kind_of_harm_comes_once_before_any_comes_again() -> None:
    planned = [aim.kind for aim in aims(random.Random(1), 50)]
    assert len(planned) == 50
    assert set(planned[: len(KINDS)]) == set(KINDS)
    assert max(Counter(planned).values()) - min(Counter(planned).values()) <= 1
    assert aims(random.Random(1), 50)[:9] == aims(random.Random(1), 9)


@pytest.mark.long
def test_4_nothing_is_lost_or_paid_twice_whatever_dies(tmp_path: Path) -> None:
    kills, verdict = cause(5, 3, tmp_path, ("solo-greedy",), 0.012, print)
    assert len(kills) == 5
    assert verdict.clean, table(kills, verdict)
    assert verdict.finished > 5
    assert verdict.confirmations > 0
    assert verdict.taken_up + verdict.lost_attempts + verdict.members_died > 0, "nothing was hit"
