"""Both sides of a comparison, simulated or real: each makes one measured run at a time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from subprocess import DEVNULL
from types import TracebackType
from typing import Self

from bench.peers.catalogue import make_peer
from bench.peers.course import Course
from bench.peers.measured import lean, measure_course, simulated_organization
from bench.peers.real import Workers, run_real
from bench.peers.results import Run, Side
from bench.peers.terms import Terms
from bench.peers.virtual import run_virtual
from metaloop.execution.nanogpt_trainer import knobs
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.cluster import IDEAL
from metaloop.execution.trainer import TrainerSpec, describe, make_simulated
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import RunFolder
from metaloop.meta.measure import measure_folder
from metaloop.meta.results import OrgRunResult
from metaloop.vocabulary.errors import BackendError
from metaloop.vocabulary.records import TrainingRequest, TrainingResult, digest
from metaloop.vocabulary.space import Space

ROOT = Path(__file__).resolve().parents[2]
PRESET, DATA = "cpu-tiny", "stdlib"


def timed(side: Side, name: str, seed: int, run: Callable[[], OrgRunResult]) -> Run:
    """The run, with the processor time that it took here."""
    started = time.process_time()
    result = run()
    return Run(side, name, seed, round(time.process_time() - started, 3), result)


class SimulatedSides:
    """The surrogate of ``cpu-tiny`` for both, on a cluster without delays or faults: nobody pays for thinking."""

    def __init__(self, terms: Terms) -> None:
        spec = TrainerSpec("surrogate", PRESET, DATA)
        self._terms, self._target = terms, describe(spec)
        self.space = Space(self._target.space.in_groups(terms.peer_focus))
        self._trainer = make_simulated(spec)
        self._backend = Simulator(self._trainer, terms.devices, IDEAL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._backend.close()

    @cached_property
    def trainings(self) -> int:
        """Baseline trainings that the budget pays for; told to peers that plan ahead, at no charge."""
        return max(1, round(self._terms.budget_s / self._trainer.train(TrainingRequest({}, 0)).seconds))

    def organization(self, name: str, seed: int) -> Run:
        """One simulated org run."""
        terms = self._terms
        found = load_organization(Path(terms.organizations[name]))

        def run() -> OrgRunResult:
            return simulated_organization(
                OrgRunTerms(found, seed, terms.budget_s), terms.confirm_pairs, self._target, self._backend
            )

        return timed("organization", name, seed, run)

    def peer(self, name: str, seed: int) -> Run:
        """One run of a peer in virtual time."""
        terms = self._terms

        def run() -> OrgRunResult:
            peer = make_peer(name, self.space, seed, self.trainings)
            course = Course(name, seed, terms.devices, terms.budget_s, self.space)
            return measure_course(run_virtual(peer, course, self._trainer), terms.confirm_pairs, self._train_all)

        return timed("peer", name, seed, run)

    def _train_all(self, requests: Sequence[TrainingRequest]) -> list[TrainingResult]:
        return [self._trainer.train(request) for request in requests]


class RealSides:
    """Real trainings for both: peers on warm workers, organizations by ``metaloop run`` on Ray, one after the other."""

    def __init__(self, terms: Terms, out: Path) -> None:
        self._terms, self._out = terms, out
        self.space = Space(Space(knobs()).in_groups(terms.peer_focus))
        self._known: dict[tuple[str, int], TrainingResult] = {}

    def __enter__(self) -> Self:
        self._workers = Workers(self._terms.trainer_python, PRESET, DATA, self._terms.devices)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._workers.close()

    @cached_property
    def trainings(self) -> int:
        """Baseline trainings that the budget pays for; told to peers that plan ahead, at no charge."""
        (result,) = self._workers.train_all([TrainingRequest({}, 0)])
        return max(1, round(self._terms.budget_s / result.seconds))

    def organization(self, name: str, seed: int) -> Run:
        """One real org run, with its confirmation, in a folder of its own."""
        terms = self._terms
        place = self._out / "organizations" / f"{name}-{seed}"

        def run() -> OrgRunResult:
            command = organization_command(terms, name, seed, place)
            path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
            subprocess.run(command, check=True, stdout=DEVNULL, env={**os.environ, "PYTHONPATH": path})
            folder = RunFolder(place)
            result = measure_folder(folder.org_run(name, seed), folder.read_terms())
            if result is None or (result.gain_bpb is None and not result.finished):
                raise BackendError(f"{place} holds no finished org run. Remove it, and repeat the command.")
            return lean(result)

        return timed("organization", name, seed, run)

    def peer(self, name: str, seed: int) -> Run:
        """One run of a peer in real time."""
        terms, length = self._terms, self.trainings

        def run() -> OrgRunResult:
            peer = make_peer(name, self.space, seed, length)
            course = Course(name, seed, terms.devices, terms.budget_s, self.space)
            return measure_course(run_real(peer, course, self._workers), terms.confirm_pairs, self._train_all)

        return timed("peer", name, seed, run)

    def _train_all(self, requests: Sequence[TrainingRequest]) -> list[TrainingResult]:
        """What is not known yet is trained; the baseline's trainings serve every peer."""
        keys = [(digest(request.config), request.seed) for request in requests]
        fresh = {key: request for key, request in zip(keys, requests, strict=True) if key not in self._known}
        self._known |= dict(zip(fresh, self._workers.train_all(list(fresh.values())), strict=True))
        return [self._known[key] for key in keys]


def organization_command(terms: Terms, name: str, seed: int, place: Path) -> list[str]:
    """``metaloop run`` of one org run into ``place``, or ``metaloop resume`` where it was begun."""
    metaloop = [terms.trainer_python, "-c", "from metaloop.edges.cli import main; main()"]
    if (place / "run.json").exists():
        return [*metaloop, "resume", str(place), "--no-mlflow", "--json"]
    options = {
        "--gpu-hours": terms.gpu_hours, "--devices": terms.devices, "--seed": seed, "--seeds": 1,
        "--confirm-pairs": terms.confirm_pairs, "--preset": PRESET, "--data": DATA, "--out": place.resolve(),
    }  # fmt: skip
    words = [str(word) for option in options.items() for word in option]
    return [*metaloop, "run", terms.organizations[name], *words, "--no-mlflow", "--json"]
