"""One run of either side, confirmed and measured by metaloop's own code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from bench.peers.course import ROOT, Course
from metaloop.execution.org_run import OrgRunTerms
from metaloop.execution.simulator.backend import Simulator
from metaloop.execution.simulator.run import simulate_org
from metaloop.execution.trainer import Target
from metaloop.files.run_folder import Confirmation
from metaloop.meta.confirmation import UNSEEN, trunk_history
from metaloop.meta.measure import measure_org_run
from metaloop.meta.results import OrgRunResult
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import Config, TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import confirmation_seed

TrainAll = Callable[[Sequence[TrainingRequest]], Sequence[TrainingResult]]
"""The harness's own trainings; results in the order of the requests."""


def confirm(trunk: Sequence[tuple[str, Config]], seed: int, pairs: int, train_all: TrainAll) -> list[Confirmation]:
    """Every commit that trunk has been at, the baseline leading, trained on the run's confirmation seeds."""
    due = [(commit, config, pair) for pair in range(pairs) for commit, config in trunk]
    requests = [TrainingRequest(config, confirmation_seed(seed, pair), score_on=UNSEEN) for _, config, pair in due]
    return [
        Confirmation(
            commit,
            config,
            pair,
            request.seed,
            result.state,
            dict(result.bpb) if result.state == "ok" else {},
            result.seconds,
        )
        for (commit, config, pair), request, result in zip(due, requests, train_all(requests), strict=True)
    ]


def measure(events: Sequence[ev.Event], root: str, seed: int, pairs: int, train_all: TrainAll) -> OrgRunResult:
    """Confirm what the events say trunk has been, and measure it as metaloop measures an org run."""
    confirmations = confirm(trunk_history(events, root).commits, seed, pairs, train_all)
    return lean(measure_org_run(events, confirmations, pairs))


def lean(result: OrgRunResult) -> OrgRunResult:
    """Without what a comparison does not show: single merges, and what was waited for."""
    return msgspec.structs.replace(result, merge_records=(), waiting=())


def measure_course(course: Course, pairs: int, train_all: TrainAll) -> OrgRunResult:
    """A peer's run."""
    result = measure(course.events, ROOT, course.seed, pairs, train_all)
    return msgspec.structs.replace(
        result,
        states=dict(course.states),
        experiments=course.states.total(),
        utilization=course.busy_s / (3600 * result.gpu_hours) if result.gpu_hours else 0.0,
    )


def simulated_organization(terms: OrgRunTerms, pairs: int, target: Target, backend: Simulator) -> OrgRunResult:
    """An organization's run on ``backend``."""
    run = simulate_org(terms, target, backend)

    def train_all(requests: Sequence[TrainingRequest]) -> list[TrainingResult]:
        results: dict[int, TrainingResult] = {}
        backend.train_all(requests, results.__setitem__)
        return [results[index] for index in range(len(requests))]

    return measure(run.events, run.state.root, terms.seed, pairs, train_all)
