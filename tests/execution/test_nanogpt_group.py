"""A trainer of several devices: its results, and processes that die with one another. Real processes, real signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from metaloop.execution.placement import Placement, device_names
from metaloop.execution.trainer import TrainerSpec, describe, make
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import TrainingRequest
from tests.processes import wait_until

PATIENCE_S = 60.0


class Leader:
    """The trainer's process, and what it says."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.execution.group_leader"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        (pid,) = self.hear()
        self.follower = psutil.Process(pid)

    def say(self, **knobs: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(knobs) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def alone(self) -> bool:
        """Whether the follower is gone."""
        return not self.follower.is_running() or self.follower.status() == psutil.STATUS_ZOMBIE

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def leader() -> Iterator[Leader]:
    made = Leader()
    yield made
    made.end()


@pytest.mark.slow
def test_a_group_gives_results_and_ends_in_order(leader: Leader) -> None:
    leader.say(share=0.3)
    state, _, bpb = leader.hear()
    request = TrainingRequest({}, seed=1, budget_fraction=0.3)
    alone = make(TrainerSpec("nanogpt", "cpu-micro", "stdlib"), gpu=False).train(request)
    assert (state, bpb["val"]) == ("ok", pytest.approx(alone.bpb["val"], abs=1e-4))
    leader.say(embedding_lr=1.0, warmup_fraction=0.0)
    assert leader.hear()[0] == "diverged"
    leader.say(code=True)
    assert leader.hear()[:2] == ["crash", "changed code is trained on one device, got a group of them"]
    leader.say(share=0.1)
    assert leader.hear()[0] == "ok"
    assert leader.process.stdin is not None
    leader.process.stdin.close()
    assert leader.process.wait(PATIENCE_S) == 0
    wait_until(leader.alone, PATIENCE_S, "the follower to end")


@pytest.mark.slow
def test_a_follower_ends_with_its_leader_even_stopped(leader: Leader) -> None:
    leader.follower.send_signal(signal.SIGSTOP)
    leader.process.kill()
    wait_until(leader.alone, PATIENCE_S, "the follower to end")


@pytest.mark.slow
@pytest.mark.parametrize("busy", [pytest.param(False, marks=pytest.mark.long), True])
def test_a_leader_ends_with_its_follower(leader: Leader, busy: bool) -> None:
    """An error of the process, never a result: whoever hosts it starts another, and trains once more."""
    if busy:
        leader.say()
    leader.follower.kill()
    assert leader.process.wait(PATIENCE_S) == 1
    assert leader.process.stdout is not None
    assert leader.process.stdout.read() == ""


def test_a_group_is_one_bundle_of_whole_devices() -> None:
    assert device_names("gpu", 2, 1) == ("gpu-0", "gpu-1")
    assert device_names("gpu", 8, 4) == ("gpu-0-3", "gpu-4-7")
    with pytest.raises(ValueError, match="9 devices cannot be parted into groups of 4"):
        device_names("gpu", 9, 4)
    assert Placement().of_group(True, 4) == {"GPU": 4.0, "CPU": 4.0}
    assert Placement().of_group(False, 2) == {"CPU": 2.0}


def test_a_simulated_training_has_one_device() -> None:
    with pytest.raises(TrainerError, match="surrogate is simulated, on one device, got 2"):
        make(TrainerSpec("surrogate", "cpu-tiny", "stdlib", devices=2), gpu=False)


def test_a_group_trains_the_target_as_it_is() -> None:
    """Changed code is trained in a sandbox, which has one device: there is nothing to edit."""
    assert describe(TrainerSpec("nanogpt", "cpu-micro", "stdlib", devices=2)).editable_texts == {}
    assert describe(TrainerSpec("nanogpt", "cpu-micro", "stdlib")).editable_texts
