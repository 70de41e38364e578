"""The nanoGPT target behind the trainer seam."""

from __future__ import annotations

import pytest

from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.vocabulary.errors import TrainerError
from tests.execution.trainer_contract import TrainerContract


class TestNanogptTrainer(TrainerContract):
    spec = TrainerSpec("nanogpt", "cpu-micro", "stdlib")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TrainerSpec("nanogtp", "cpu-tiny", "stdlib"), r"unknown trainer 'nanogtp' \(did you mean 'nanogpt'\?\)"),
        (TrainerSpec("nanogpt", "cpu-tinny", "stdlib"), r"unknown preset 'cpu-tinny' \(did you mean 'cpu-tiny'\?\)"),
        (TrainerSpec("nanogpt", "cpu-tiny", "/no/such/file"), "no/such/file"),
    ],
)
def test_a_target_that_does_not_exist_is_refused(spec: TrainerSpec, message: str) -> None:
    with pytest.raises(TrainerError, match=message):
        describe(spec)


def test_describing_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from metaloop.execution.trainer import *; describe(TrainerSpec('nanogpt', 'cpu-tiny', 'stdlib'));"
        "print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
