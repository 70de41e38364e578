"""One sandboxed trainer for all tests of a session; the smallest preset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from metaloop.execution.nanogpt_trainer import NanogptTrainer, make
from metaloop.execution.trainer import TrainerSpec


@pytest.fixture(scope="session")
def trainer() -> Iterator[NanogptTrainer]:
    threads = torch.get_num_threads()
    made = make(TrainerSpec("nanogpt", "cpu-micro", "stdlib"), gpu=False)
    yield made
    made.sandbox().close()
    torch.set_num_threads(threads)
