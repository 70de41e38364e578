"""Simulated org runs whose members ask models, as a :class:`~metaloop.meta.evolution.terms.Measure`.

Each has a folder of its own below ``thought/STAGE``, as a real one has: what a model said was paid for, and is on disk
before it is acted on. An org run that is taken up is simulated from its beginning, and pays only for what is new in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from metaloop.edges import session
from metaloop.edges.evolution.purse import Purse
from metaloop.edges.evolution.stage import Stages, prepare
from metaloop.edges.progress import Progress
from metaloop.files import journal
from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, RunTerms, read_lines
from metaloop.meta.confirmed import Scores, confirm_merges
from metaloop.meta.evolution.finished import measured_folder
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.meta.evolution.simulated import pool_of
from metaloop.meta.evolution.terms import INNER, OPENING, Measured, Request
from metaloop.meta.mutations.evidence import Evidence, OrgRunRecord, gather
from metaloop.vocabulary.models import Allowance

MOST_RECORDS = 6
"""Org runs that evidence is drawn from: their journals hold some hundred decisions each."""


class _Job(NamedTuple):
    folder: Path
    terms: RunTerms
    split: str
    digest: str
    request: Request
    granted: Allowance


class ThoughtfulMeasure:
    """On as many ``processes`` as asked for; where a total is to be kept, one org run at a time, in this one."""

    def __init__(self, folder: EvolutionFolder, stages: Stages, processes: int, purse: Purse) -> None:
        self._folder = folder
        self._stages = stages
        self._processes = 1 if purse.limited else processes
        self._purse = purse

    def __call__(self, organizations: Mapping[str, OrgFile], requests: Sequence[Request]) -> Iterator[Measured]:
        for stage in dict.fromkeys(request.stage for request in requests):
            mine = [request for request in requests if request.stage == stage]
            prepare(self._folder.thought(stage), self._stages[stage][0], organizations, mine)
        jobs = (self._job(organizations[request.name].digest, request) for request in requests)
        if self._processes == 1:
            yield from map(_measure, jobs)
            return
        with pool_of(self._processes) as pool:
            yield from pool.map(_measure, jobs)

    def _job(self, digest: str, request: Request) -> _Job:
        terms, split = self._stages[request.stage]
        place = self._folder.thought(request.stage).path
        return _Job(place, terms, split, digest, request, self._purse.granted())

    def evidence(self, organization: OrgFile, before: int) -> Evidence:
        """What the journals of its latest simulated org runs on seeds below ``before`` say against its roles.

        Later ones may lie there too, where an evolution is run again over what was paid for.
        """
        org_runs = [
            self._folder.thought(stage).org_run(organization.name, seed)
            for stage in (OPENING, INNER)
            for seed in self._seeds(stage, organization.name)
            if seed < before
        ]
        return gather(organization.to_organization(), map(_record, org_runs[-MOST_RECORDS:]))

    def _seeds(self, stage: str, name: str) -> list[int]:
        return sorted(
            int(path.name.removeprefix("seed-")) for path in (self._folder.thought(stage).path / name).glob("seed-*")
        )


def _measure(job: _Job) -> Measured:
    """One org run and its confirmation, as far as they are missing; in whatever process."""
    folder, (_, name, seed) = RunFolder(job.folder), job.request
    backend, progress = session.simulator_of(job.terms), Progress(quiet=True)
    session.execute_one(folder, (name, seed), backend, progress, most=job.granted, alone=nullcontext())
    return measured_folder(folder.org_run(name, seed), job.request, job.digest, job.split, real=False)


def _record(place: OrgRunFolder) -> OrgRunRecord:
    events = journal.read(place.journal)
    return events, confirm_merges(events, Scores(read_lines(place.confirmations, Confirmation)))
