"""Org runs on real devices as a :class:`~metaloop.meta.evolution.terms.Measure`: each lane a reservation of its own."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from metaloop.edges import session
from metaloop.edges.evolution.purse import Purse, thinks
from metaloop.edges.evolution.stage import Stages, prepare
from metaloop.edges.lanes import open_lanes
from metaloop.edges.means import Means, meters_of, settle
from metaloop.edges.progress import Progress
from metaloop.execution.backend import Backend
from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import RunTerms
from metaloop.meta.evolution.finished import measured_folder
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.meta.evolution.terms import Measured, Request
from metaloop.vocabulary.errors import BudgetSpent, Preempted
from metaloop.vocabulary.models import UNLIMITED, Allowance


class RealMeasure:
    """Runs and confirms organizations, on as many backends at a time as there are lanes.

    ``allowance`` says how many GPU-hours are left, harness included; an org run begins only if the most that it and
    those under way can cost would still be paid for. ``purse`` says what is left to think for.
    """

    def __init__(
        self,
        folder: EvolutionFolder,
        stages: Stages,
        lanes: int,
        means: Means,
        allowance: Callable[[], float],
        purse: Purse,
    ) -> None:
        self._folder = folder
        self._stages = stages
        self._lanes = lanes
        self._means = means
        self._meters = meters_of(means)
        self._allowance = allowance
        self._purse = purse
        self._held = ExitStack()
        self._backends: list[Backend] = []
        self._confirming: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        """By seed, whose confirmations share trainings: what one has done, the next one does not pay for."""

    def close(self) -> None:
        """Give the devices back, until another org run is asked for."""
        if self._backends:
            settle(self._meters)
        self._held.close()
        self._backends.clear()

    def __call__(self, organizations: Mapping[str, OrgFile], requests: Sequence[Request]) -> Iterator[Measured]:
        for stage in dict.fromkeys(request.stage for request in requests):
            mine = [request for request in requests if request.stage == stage]
            prepare(self._folder.stage(stage), self._stages[stage][0], organizations, mine)
        self._open()
        waiting, free = list(requests), list(self._backends)
        busy: dict[Request, Backend] = {}
        results: queue.SimpleQueue[Measured | BaseException] = queue.SimpleQueue()
        while waiting or busy:
            while waiting and free and self._affords(waiting[0], busy) and self._knows(organizations, waiting[0], busy):
                granted = self._purse.granted() if thinks(organizations[waiting[0].name]) else UNLIMITED
                job, backend = waiting.pop(0), free.pop()
                busy[job] = backend
                arguments = (job, organizations[job.name], backend, granted, results)
                threading.Thread(target=self._run, args=arguments, daemon=True).start()
            done = results.get()
            if isinstance(done, Preempted):
                for _ in range(len(busy) - 1):  # the other lanes have had the same notice
                    results.get()
            if isinstance(done, BaseException):
                raise done
            free.append(busy.pop(done.request))
            yield done

    def _affords(self, request: Request, busy: Mapping[Request, Backend]) -> bool:
        """Whether the most that the org run and those under way can cost would still be paid for.

        Raises:
            BudgetSpent: not even with nothing under way.
        """
        left, most = self._allowance(), [self._most(each) for each in (request, *busy)]
        if sum(most) > left and not busy:
            raise BudgetSpent(
                f"{left:.3f} GPU-hours are left, and the next org run could take {most[0]:.3f}: the evolution ends "
                "with what it has."
            )
        return sum(most) <= left

    def _knows(self, organizations: Mapping[str, OrgFile], request: Request, busy: Mapping[Request, Backend]) -> bool:
        """Whether what it may think for is known, as nobody else is thinking.

        If that is nothing, those under way come to their end first, so that they are not lost with the rest.
        """
        if not self._purse.limited or not thinks(organizations[request.name]) or not busy:
            return True
        others = any(thinks(organizations[other.name]) for other in busy)
        return not others and not self._purse.left().spent(0, 0.0)

    def _most(self, request: Request) -> float:
        terms = self._stages[request.stage][0]
        return most_hours(terms, session.target_of(terms).longest_s)

    def _run(
        self,
        request: Request,
        organization: OrgFile,
        backend: Backend,
        granted: Allowance,
        results: queue.SimpleQueue[Measured | BaseException],
    ) -> None:
        """One org run and its confirmation; what goes wrong is raised where the results are awaited."""
        try:
            place = self._folder.stage(request.stage)
            progress = Progress(lines_only=self._lanes > 1, also=self._meters.org_run if self._meters else None)
            org_run = (request.name, request.seed)
            session.execute_one(place, org_run, backend, progress, most=granted, alone=self._confirming[org_run[1]])
            digest, split = organization.digest, self._stages[request.stage][1]
            results.put(measured_folder(place.org_run(request.name, request.seed), request, digest, split, real=True))
        except BaseException as error:
            results.put(error)

    def _open(self) -> None:
        """The lanes' backends, started when the first org run is asked for."""
        if not self._backends:
            terms = next(terms for terms, _ in self._stages.values())
            self._backends += self._held.enter_context(open_lanes(terms, self._means, self._lanes, Progress()))


def most_hours(terms: RunTerms, longest_s: float) -> float:
    """The most GPU-hours that an org run and the confirmation of its ends can take: a training that has begun when the
    budget is spent goes on, on every device, for up to ``longest_s``."""
    devices = terms.devices + 2 * terms.confirm_pairs * terms.devices_per_experiment
    return terms.gpu_hours + devices * longest_s / 3600
