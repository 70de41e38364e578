"""Org runs side by side: each lane is a reservation of its own, as large as any other.

Equal reservations for equal budgets are what makes shares of a cluster fair: no organization gets devices, or device
time, that another one has to wait for. Organizations still alternate within a seed.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout

from metaloop.edges import session
from metaloop.edges.means import Means
from metaloop.edges.progress import Progress
from metaloop.edges.spending import Limit, within_limit
from metaloop.edges.stopping import heeding
from metaloop.execution.backend import Backend
from metaloop.execution.hardware import counted
from metaloop.files.run_folder import RunFolder, RunTerms
from metaloop.vocabulary.errors import BackendError

Job = tuple[str, int]
"""Organization and seed."""


@contextmanager
def open_lanes(terms: RunTerms, means: Means, lanes: int, progress: Progress) -> Iterator[list[Backend]]:
    """As many backends on one Ray, each with the devices that the terms name; closed at the end whatever happens.

    Ray reports the deaths of processes on standard output, which belongs to results: it goes to standard error.

    Raises:
        BackendError: there are not as many devices, or lanes are of unlike hardware.
    """
    from metaloop.execution.ray_backend import RayBackend

    spec, where, in_order = session.spec_of(terms), means.address, terms.in_order
    placement = session.placement_of(terms, means, lanes)
    with ExitStack() as held:
        held.enter_context(redirect_stdout(sys.stderr))
        first = RayBackend(spec, terms.devices, where, in_order=in_order, placement=placement)
        held.callback(first.close)
        held.enter_context(heeding(first.notice))
        opened = [first]
        for _ in range(lanes - 1):
            other = RayBackend(spec, terms.devices, where, in_order=in_order, beside=first, placement=placement)
            held.callback(other.close)
            opened.append(other)
        check_alike([lane.hardware for lane in opened])
        session.say_if_mixed(first.hardware, progress)
        yield list(opened)


def check_alike(lanes: Sequence[tuple[str, ...]]) -> None:
    """Organizations are compared across lanes, so these must be of the same hardware (``lanes``: that of each device).

    Raises:
        BackendError
    """
    if len({tuple(sorted(lane)) for lane in lanes}) > 1:
        found = "; ".join(f"lane {number}: {counted(lane)}" for number, lane in enumerate(lanes, 1))
        raise BackendError(
            f"the lanes are not of the same hardware ({found}), so that organizations would be compared on unequal "
            "terms. Begin anew with --accelerator NAME, for nodes with one kind of accelerator, or with --lanes 1."
        )


def execute(folder: RunFolder, lanes: Sequence[Backend], progress: Progress) -> None:
    """As :func:`metaloop.edges.session.execute`, with as many org runs at a time as there are lanes.

    After an error nothing new is begun, and what is under way comes to its end first: it is paid for.
    """
    terms = folder.read_terms()
    session.organizations_of(folder, terms, session.target_of(terms))
    with within_limit(progress):
        _Lanes(folder, terms, lanes, progress).run()


class _Lanes:
    """Hands org runs to lanes, in order."""

    def __init__(self, folder: RunFolder, terms: RunTerms, lanes: Sequence[Backend], progress: Progress) -> None:
        self._folder = folder
        self._limit = Limit(folder, terms)
        self._progress = progress
        self._jobs = deque((name, seed) for seed in terms.org_run_seeds for name in terms.organizations)
        self._free = list(lanes)
        self._busy: dict[Job, Backend] = {}
        self._ended: queue.SimpleQueue[tuple[Job, BaseException | None]] = queue.SimpleQueue()
        self._confirming: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        """By seed, whose confirmations share trainings: what one has done, the next one does not pay for."""

    def run(self) -> None:
        failed: BaseException | None = None
        while self._busy or (self._jobs and failed is None):
            while failed is None and self._jobs and self._free and self._limit.affords(self._jobs[0], self._busy):
                self._begin(self._jobs.popleft())
            job, error = self._ended.get()
            self._free.append(self._busy.pop(job))
            failed = failed or error
        if failed is not None:
            raise failed

    def _begin(self, job: Job) -> None:
        self._busy[job] = self._free.pop(0)
        threading.Thread(target=self._carry_out, args=(job, self._busy[job]), daemon=True).start()

    def _carry_out(self, job: Job, backend: Backend) -> None:
        try:
            session.execute_one(self._folder, job, backend, self._progress, alone=self._confirming[job[1]])
            self._ended.put((job, None))
        except BaseException as error:
            self._ended.put((job, error))
