"""Several devices for one training: this process leads, and a follower beside it trains on each further device.

The followers stay warm between trainings, as their leader does. How a training is shared, and how one rank's bad end
becomes everybody's, is the target's (``nanogpt.ranks``); this module owns the processes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from metaloop.execution.nanogpt_follower import Post
from metaloop.vocabulary.errors import TrainerError

if TYPE_CHECKING:
    from nanogpt.prepare import Corpus
    from nanogpt.results import TrainRequest, TrainResult

LOOK_S = 0.1
"""How often followers are looked after: a rank that waits for a dead one on a GPU would not notice."""

STANDARD_ERROR = 2


@dataclass(frozen=True)
class GroupTerms:
    """``devices`` processes, one each, on ``data``. Who falls silent in a training for ``patience_s`` seconds is
    lost."""

    data: str
    devices: int
    patience_s: float
    cuda: bool


class DeviceGroup:
    """The followers of one trainer, and its trainings with them.

    ``on_loss`` is told, in a thread of its own or in :meth:`train`'s, that the group cannot train any more.

    Raises:
        TrainerError: the ranks do not find together.
    """

    def __init__(self, terms: GroupTerms, on_loss: Callable[[str], None]) -> None:
        from nanogpt.ranks import RanksLost, join

        self._terms, self._on_loss = terms, on_loss
        self._folder = Path(tempfile.mkdtemp(prefix="metaloop-group-"))
        self._followers: list[subprocess.Popen[bytes]] = []
        self._started, self._closing = threading.Event(), threading.Event()
        # Linux ends a child with the thread that started it: whoever looks after the followers also starts them.
        self._warden = threading.Thread(target=self._look_after, daemon=True, name="followers")
        self._warden.start()
        self._started.wait()
        try:
            join(0, terms.devices, self._meeting_place, terms.patience_s, terms.cuda)
        except RanksLost as error:
            self.close()
            raise TrainerError(f"the {terms.devices} devices of a training do not find together: {error}.") from None

    @property
    def pids(self) -> tuple[int, ...]:
        """The followers' process ids, by rank from 1."""
        return tuple(follower.pid for follower in self._followers)

    def train(self, request: TrainRequest, corpus: Corpus, device: str) -> TrainResult:
        """One training on all devices.

        Raises:
            KnobError, PresetError, ValueError: the request is not valid.
            TrainerError: a follower is gone, and the group with it; ``on_loss`` was told.
        """
        from nanogpt.ranks import RanksLost, Together
        from nanogpt.train import train

        try:
            self._order(msgspec.json.encode(request) + b"\n")
            return train(request, corpus, device, ranks=Together(0, self._terms.devices))
        except (RanksLost, BrokenPipeError) as error:
            self._on_loss(str(error))
            raise TrainerError(f"a device of the training is gone: {error}.") from None

    def close(self) -> None:
        """End the followers."""
        self._closing.set()
        self._warden.join()
        for follower in self._followers:
            follower.kill()
            follower.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _meeting_place(self) -> Path:
        return self._folder / "meeting-place"

    def _order(self, line: bytes) -> None:
        for follower in self._followers:
            assert follower.stdin is not None
            follower.stdin.write(line)
            follower.stdin.flush()

    def _look_after(self) -> None:
        try:
            for rank in range(1, self._terms.devices):
                self._followers.append(self._start(rank))
        except OSError as error:
            self._on_loss(f"a device's process cannot be started: {error}")
            return
        finally:
            self._started.set()
        while not self._closing.wait(LOOK_S):
            for rank, follower in enumerate(self._followers, start=1):
                if follower.poll() is not None:
                    self._on_loss(f"the process of device {rank} has ended with {follower.returncode}")
                    return

    def _start(self, rank: int) -> subprocess.Popen[bytes]:
        terms = self._terms
        place = str(self._meeting_place)
        post = Post(terms.data, rank, terms.devices, place, terms.patience_s, terms.cuda, os.getpid())
        command = [sys.executable, "-m", "metaloop.execution.nanogpt_follower", msgspec.json.encode(post).decode()]
        # Ray finds the code of a job by this process's path, which a new one would not have.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        # What PyTorch says on standard output goes to standard error: the other belongs to results.
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=STANDARD_ERROR, env=environment)


def end_process(reason: str) -> NoReturn:
    """A trainer without its followers is of no use: its process ends, and whoever hosts it starts another."""
    print(f"the device group ends: {reason}", file=sys.stderr, flush=True)
    os._exit(1)
