"""When a run gives up on its devices."""

from __future__ import annotations

import pytest

from metaloop.execution.ray_trainers import START_S, must_come_back
from metaloop.vocabulary.errors import BackendError


def test_it_waits_as_long_as_one_may_come_back() -> None:
    must_come_back(1000.0, {}, 0)
    must_come_back(1000.0, {"d0": 0.0}, 2)
    must_come_back(1000.0, {"d0": 0.0, "d1": 1000.0 - START_S}, 2)


def test_once_none_has_come_back_what_is_left_is_kept() -> None:
    with pytest.raises(BackendError, match=r"none of the 2 devices .*metaloop resume"):
        must_come_back(1000.0, {"d0": 0.0, "d1": 999.0 - START_S}, 2)
