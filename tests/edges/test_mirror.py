"""A mirror beside a command: what it does to the command's process."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

from metaloop.edges.mirror import mirrored
from metaloop.edges.progress import Progress
from metaloop.files.mirror import fetch


def test_who_is_taken_over_is_given_notice_once(tmp_path: Path) -> None:
    """Two copies that go on would pay for the same trainings twice."""
    folder, url = tmp_path / "run", f"file://{tmp_path / 'store'}"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    told: list[int] = []
    noticed = threading.Event()

    def heed(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        noticed.set()

    before = signal.signal(signal.SIGTERM, heed)
    try:
        with mirrored(folder, url, Progress(quiet=True), interval_s=0.05):
            assert not noticed.wait(0.3)
            fetch(url, tmp_path / "copy", "another")
            assert noticed.wait(5.0)
            assert not threading.Event().wait(0.3)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]
