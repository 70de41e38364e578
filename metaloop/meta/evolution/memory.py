"""What was measured, on disk: an org run that stands there is never run again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import append_line, read_lines
from metaloop.meta.evolution.terms import Measure, Measured, Request
from metaloop.vocabulary.errors import FileError


class Remembering:
    """A :class:`Measure` before another: answers from the file what it knows, and appends what is new."""

    def __init__(self, inner: Measure, file: Path) -> None:
        self._inner = inner
        self._file = file
        self._known = {measured.request: measured for measured in read_lines(file, Measured)}

    def measured(self) -> list[Measured]:
        """Everything that was measured, in no particular order."""
        return list(self._known.values())

    def __call__(self, organizations: Mapping[str, OrgFile], requests: Sequence[Request]) -> Iterator[Measured]:
        """Known results first, then new ones as they come.

        Raises:
            FileError: a known result is of another organization of the same name.
        """
        fresh = [request for request in requests if request not in self._known]
        for request in requests:
            known = self._known.get(request)
            if known is not None:
                self._check(known, organizations[request.name].digest)
                yield known
        for measured in self._inner(organizations, fresh) if fresh else ():
            append_line(self._file, measured)
            self._known[measured.request] = measured
            yield measured

    def _check(self, known: Measured, digest: str) -> None:
        if known.digest != digest:
            message = (
                f"has a result of {known.name} with other files than now. Organizations are bred from the seed "
                "alone, so this metaloop breeds others than the one that began. Resume with that version."
            )
            raise FileError(self._file, None, message)


def gpu_hours(measured: Sequence[Measured]) -> tuple[float, float]:
    """What organizations spent, and what the harness spent to confirm them."""
    return math.fsum(m.gpu_hours for m in measured), math.fsum(m.harness_gpu_hours for m in measured)
