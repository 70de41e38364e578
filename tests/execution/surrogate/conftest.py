"""One small fit serves all tests of this folder."""

from __future__ import annotations

import pytest
import torch

from metaloop.execution.recording.design import Recorded
from metaloop.execution.surrogate.fit import fit_surrogate
from metaloop.execution.surrogate.model import Model
from tests.execution.surrogate.synthetic import SMALL, SOURCE, recording

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def rows() -> list[Recorded]:
    return recording(5)


@pytest.fixture(scope="session")
def model(rows: list[Recorded]) -> Model:
    return fit_surrogate(rows, SOURCE, SMALL)
