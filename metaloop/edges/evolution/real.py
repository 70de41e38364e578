"""Org runs on real devices as a :class:`~metaloop.meta.evolution.terms.Measure`: each lane a reservation of its own."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout

from metaloop.edges import session
from metaloop.edges.evolution.purse import Purse, thinks
from metaloop.edges.evolution.stage import Stages, prepare
from metaloop.edges.means import Means, meters_of
from metaloop.edges.progress import Progress
from metaloop.edges.stopping import heeding
from metaloop.execution.backend import Backend
from metaloop.execution.hardware import counted
from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import RunTerms
from metaloop.meta.evolution.finished import measured_folder
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.meta.evolution.terms import Measured, Request
from metaloop.vocabulary.errors import BackendError, BudgetSpent, Preempted
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

    def close(self) -> None:
        """Give the devices back, until another org run is asked for."""
        if self._meters and self._backends:
            self._meters.settle()
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
            session.execute_one(place, request.name, request.seed, backend, progress, granted)
            digest, split = organization.digest, self._stages[request.stage][1]
            results.put(measured_folder(place.org_run(request.name, request.seed), request, digest, split, real=True))
        except BaseException as error:
            results.put(error)

    def _open(self) -> None:
        """The lanes' backends, started when the first org run is asked for."""
        if self._backends:
            return
        from metaloop.execution.ray_backend import RayBackend

        terms = next(terms for terms, _ in self._stages.values())
        spec, where, in_order = session.spec_of(terms), self._means.address, terms.in_order
        self._held.enter_context(redirect_stdout(sys.stderr))
        placement = session.placement_of(terms, self._means, self._lanes)
        first = RayBackend(spec, terms.devices, where, in_order=in_order, placement=placement)
        self._held.callback(first.close)
        self._held.enter_context(heeding(first.notice))
        lanes = [first]
        for _ in range(self._lanes - 1):
            other = RayBackend(spec, terms.devices, where, in_order=in_order, beside=first, placement=placement)
            self._held.callback(other.close)
            lanes.append(other)
        check_alike([lane.hardware for lane in lanes])
        session.say_if_mixed(first.hardware, Progress())
        self._backends.extend(lanes)


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


def most_hours(terms: RunTerms, longest_s: float) -> float:
    """The most GPU-hours that an org run and the confirmation of its ends can take: a training that has begun when the
    budget is spent goes on, on every device, for up to ``longest_s``."""
    devices = terms.devices + 2 * terms.confirm_pairs * terms.devices_per_experiment
    return terms.gpu_hours + devices * longest_s / 3600
