"""Org runs in the simulator as a :class:`Measure`: in memory, without a folder, on as many processes as asked for."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import NamedTuple

import msgspec

from metaloop.execution.backend import Backend
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster import Cluster
from metaloop.execution.simulator.run import SimulatedRun, simulate_org
from metaloop.execution.trainer import Target, TrainerSpec, describe, make_simulated
from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import RunTerms
from metaloop.meta.audit import audit
from metaloop.meta.evolution.terms import Measured, Request
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import TRUNK, TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import confirmation_seed

CHUNK = 4
"""Org runs handed to a process at a time: few enough that all are busy to the end."""


@dataclass(frozen=True)
class World:
    """A simulated stage, ready to run: made once in each process."""

    terms: RunTerms
    split: str
    target: Target
    backend: Backend

    @classmethod
    def of(cls, terms: RunTerms, split: str) -> World:
        spec = TrainerSpec(terms.trainer, terms.preset, terms.data)
        cluster = msgspec.convert(terms.cluster, Cluster)
        return cls(terms, split, describe(spec), Simulator(make_simulated(spec), terms.devices, cluster))

    def measure(self, stage: str, organization: Organization, seed: int) -> Measured:
        """One org run, and its gain on the confirmation's fresh seeds."""
        run = simulate_org(OrgRunTerms(organization, seed, self.terms.budget_s), self.target, self.backend)
        count = audit(run.events)
        return Measured(
            stage=stage,
            name=organization.name,
            seed=seed,
            digest=organization.digest,
            score=self._gain(run, seed),
            gpu_hours=count.allocated_s / 3600,
            harness_gpu_hours=0.0,
            tokens=count.tokens,
            usd=count.usd,
            real=False,
        )

    def _gain(self, run: SimulatedRun, seed: int) -> float | None:
        """Baseline minus trunk (bpb), mean over the pairs; ``None`` if trunk fails on one of them: it cannot be relied
        on. A pair without a baseline is left out."""
        config = run.state.branches[TRUNK].config
        if not config:
            return 0.0
        seeds = [confirmation_seed(seed, pair) for pair in range(self.terms.confirm_pairs)]
        requests = [TrainingRequest(c, s, score_on=(self.split,)) for s in seeds for c in ({}, config)]
        results: dict[int, TrainingResult] = {}
        self.backend.train_all(requests, results.__setitem__)
        pairs = [(results[2 * i], results[2 * i + 1]) for i in range(len(seeds))]
        pairs = [(baseline, trunk) for baseline, trunk in pairs if baseline.state == "ok"]
        if not pairs or any(trunk.state != "ok" for _, trunk in pairs):
            return None
        return math.fsum(b.bpb[self.split] - t.bpb[self.split] for b, t in pairs) / len(pairs)


class SimulatedMeasure:
    """Measures the stages that are simulated: their terms, and the split that they are scored on.

    ``processes`` 1 stays in this one.
    """

    def __init__(self, stages: Mapping[str, tuple[RunTerms, str]], processes: int) -> None:
        self._stages = {stage: (msgspec.json.encode(terms), split) for stage, (terms, split) in stages.items()}
        self._pool = pool_of(processes) if processes > 1 else None

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __call__(self, organizations: Mapping[str, OrgFile], requests: Sequence[Request]) -> Iterator[Measured]:
        ready = {name: organizations[name].to_organization() for name in {r.name for r in requests}}
        jobs = [_Job(r.stage, *self._stages[r.stage], ready[r.name], r.seed) for r in requests]
        if self._pool is None:
            yield from (_measure(job) for job in jobs)
            return
        chunks = [jobs[i : i + CHUNK] for i in range(0, len(jobs), CHUNK)]
        for results in self._pool.map(_measure_all, chunks):
            yield from results


class _Job(NamedTuple):
    stage: str
    terms: bytes
    split: str
    organization: Organization
    seed: int


@lru_cache(maxsize=8)
def _world(terms: bytes, split: str) -> World:
    return World.of(msgspec.json.decode(terms, type=RunTerms), split)


def _measure(job: _Job) -> Measured:
    return _world(job.terms, job.split).measure(job.stage, job.organization, job.seed)


def _measure_all(jobs: list[_Job]) -> list[Measured]:
    return [_measure(job) for job in jobs]


def pool_of(processes: int) -> ProcessPoolExecutor:
    """Processes that end soon after this one, however it ends."""
    return ProcessPoolExecutor(processes, get_context("spawn"), _watch_over, (os.getpid(),))


def _watch_over(parent: int) -> None:
    """A process whose parent was killed would wait for work for ever."""
    never = threading.Event()

    def watch() -> None:
        while os.getppid() == parent:
            never.wait(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
