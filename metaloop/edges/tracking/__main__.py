"""``python -m metaloop.edges.tracking DIR [--follow]``: bring MLflow up to date with a run's folder."""

from __future__ import annotations

import argparse
import logging
import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from metaloop.edges.tracking import tracking_uri
from metaloop.edges.tracking.evolution import evolution_images
from metaloop.edges.tracking.images import RunImage, images
from metaloop.edges.tracking.publisher import Publisher
from metaloop.files.run_folder import RunFolder
from metaloop.meta.evolution.folder import EvolutionFolder

POLL_S = 5.0
"""Between two looks at the folder, at least."""
REST = 10.0
"""A look that took long is followed by a rest this many times as long: the run's devices come first."""
SLOWEST_RETRY_S = 60.0
GRACE_S = 8.0
"""How long an absent server is asked again once the run is over."""

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""No telemetry, no progress bars; retrying is done here, where the end of the run is known."""


def main() -> int:
    """Parse the arguments and publish; 0 when MLflow has everything."""
    parser = argparse.ArgumentParser(prog="python -m metaloop.edges.tracking", description=__doc__)
    parser.add_argument("folder", type=Path, help="a run's folder")
    parser.add_argument("--follow", action="store_true", help="go on until the run has ended")
    parser.add_argument("--leash", action="store_true", help="with --follow: end when standard input closes")
    arguments = parser.parse_args()
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    logging.disable(logging.WARNING)
    if arguments.follow:
        os.nice(19)
    return Tracker(arguments.folder, arguments.leash).run(arguments.follow)


class Tracker:
    """Looks at the folder again and again, and publishes what has changed."""

    def __init__(self, out: Path, leash: bool) -> None:
        self._folder = RunFolder(out)
        self._evolution = EvolutionFolder(out)
        self._leash = leash
        self._publisher = Publisher(self._folder.tracking, tracking_uri())
        self._seen = ""
        self._problem: str | None = None

    def run(self, follow: bool) -> int:
        """Publish until the run is over (at once without ``follow``) and everything was sent."""
        wait = POLL_S
        over = not follow
        give_up_at = time.monotonic() + GRACE_S
        while True:
            began = time.monotonic()
            sent = self._look()
            took = time.monotonic() - began
            if over and (sent or time.monotonic() >= give_up_at):
                break
            was_over = over
            wait = max(POLL_S, REST * took) if sent else min(SLOWEST_RETRY_S, 2 * wait)
            over = over or self._over_within(wait)
            if over and not was_over:
                wait, give_up_at = POLL_S / 10, time.monotonic() + GRACE_S
            elif over:
                time.sleep(min(wait, max(0.0, give_up_at - time.monotonic())))
        if self._problem:
            print(self._problem, file=sys.stderr, flush=True)
        return 1 if self._problem else 0

    def _look(self) -> bool:
        """Publish if anything changed; whether MLflow has everything that was there."""
        now = self._print()
        found = self._images()
        if now == self._seen or found is None:
            return True
        try:
            self._publisher.publish(found)
        except Exception as error:  # whatever MLflow or its server does must only cost another try
            self._problem = f"{tracking_uri()}: {_first_line(error)}"
            return False
        self._seen, self._problem = now, None
        return True

    def _images(self) -> Iterator[RunImage] | None:
        """What there is to show: a run at any time, an evolution once it has ended."""
        if self._evolution.terms.exists():
            return evolution_images(self._folder.path) if self._evolution.results.exists() else None
        return images(self._folder.path) if self._folder.terms.exists() else None

    def _over_within(self, seconds: float) -> bool:
        """Wait; whether the run is over."""
        if self._leash:
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            return bool(ready)
        time.sleep(seconds)
        return self._concluded()

    def _concluded(self) -> bool:
        """Whether the results were written after everything that they are made from."""
        results = self._folder.results
        if not results.exists():
            return False
        journals = self._folder.path.glob("*/seed-*/*.jsonl")
        return all(file.stat().st_mtime <= results.stat().st_mtime for file in journals)

    def _print(self) -> str:
        """Changes when any file that the images are made from does."""
        files = [*self._folder.path.glob("*/seed-*/*.jsonl"), *self._folder.path.glob("*.*")]
        known = (self._folder.tracking.name, "mlflow.log")
        stats = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.name not in known and f.exists()]
        return str(sorted(stats))


def _first_line(error: Exception) -> str:
    """An exception in one line: MLflow's carry pages of retry history."""
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text[:200]}"


if __name__ == "__main__":
    sys.exit(main())
