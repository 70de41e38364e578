"""The mirror of a folder while a command works on it: a thread of its own, so that a slow storage slows nothing."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metaloop.edges.progress import Progress
from metaloop.files.mirror import Mirror, begin_mirror, fetch, mirror_record
from metaloop.vocabulary.errors import StorageError, TakenOver, UsageError

INTERVAL_S = 15.0
"""Between two looks at the folder: what the loss of the machine can cost beyond what was in flight."""


@contextmanager
def mirrored(folder: Path, url: str, progress: Progress, interval_s: float = INTERVAL_S) -> Iterator[None]:
    """Mirror ``folder`` to ``url`` (or where it was mirrored before) until the block ends, and once more then.

    A storage that fails is told of and tried again; it never ends the work. Once another copy has taken over, this
    process is given notice as if its machine were taken away: two copies that go on would pay for the same twice.

    Raises:
        UsageError, StorageError: at the start only.
    """
    if not url and mirror_record(folder) is None:
        yield
        return
    follower = _Follower(begin_mirror(folder, url, uuid.uuid4().hex), progress, interval_s)
    follower.start()
    try:
        yield
    finally:
        follower.stop()
        if not follower.push():
            progress.say(f"The mirror has not got everything. Catch up with: metaloop resume {folder}")


class _Follower(threading.Thread):
    """Pushes at intervals until it is stopped."""

    def __init__(self, mirror: Mirror, progress: Progress, interval_s: float) -> None:
        super().__init__(daemon=True)
        self._mirror = mirror
        self._progress = progress
        self._interval_s = interval_s
        self._over = threading.Event()
        self._problem = ""

    def run(self) -> None:
        while not self._over.wait(self._interval_s):
            self.push()

    def stop(self) -> None:
        self._over.set()
        self.join()

    def push(self) -> bool:
        """Whether the store is up to date; a new problem is told once."""
        try:
            self._mirror.push()
        except TakenOver as error:
            self._give_up(error)
            return False
        except StorageError as error:
            if str(error) != self._problem:
                self._progress.say(f"mirror: {error}")
            self._problem = str(error)
            return False
        self._problem = ""
        return True

    def _give_up(self, error: TakenOver) -> None:
        if not self._over.is_set():
            self._over.set()
            self._progress.say(f"mirror: {error} This one stops.")
            os.kill(os.getpid(), signal.SIGTERM)


def take_over(place: str, out: Path | None) -> Path:
    """The folder to go on in: ``place`` itself, or if that is a URL, a fetched copy of it.

    Raises:
        UsageError, StorageError
    """
    if "://" not in place:
        if out is not None:
            raise UsageError(f"--out says where to put what a URL holds, but {place} is a folder. Drop it.")
        return Path(place)
    folder = out or Path("runs") / place.rstrip("/").rpartition("/")[2]
    fetch(place, folder, uuid.uuid4().hex)
    return folder
