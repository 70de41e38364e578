"""What real org runs teach the simulator: the trainings they made near the optimum, and the delays of their machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import median, stdev
from typing import Any

import msgspec

from metaloop.execution.recording.design import Recorded
from metaloop.files import journal
from metaloop.files.run_folder import RunFolder
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.code import files_of
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import training_seed


class OrgRunTrainings(msgspec.Struct, frozen=True):
    """The trainings of one real org run."""

    organization: str
    seed: int
    rows: tuple[Recorded, ...]


class Timing(msgspec.Struct, frozen=True):
    """Delays of the machine that real org runs ran on, in seconds (medians over ``trainings`` trainings).

    ``message_s``: order and result of a training under way; ``decision_s``: from a finished training to its verdict;
    ``slowdown``: seconds a training held its device over the processor seconds that were predicted for it;
    ``spread``: standard deviation of the logarithm of that ratio.
    """

    message_s: float
    decision_s: float
    slowdown: float
    spread: float
    trainings: int


def org_run_trainings(folder: RunFolder, first_index: int) -> list[OrgRunTrainings]:
    """Every training that ended by itself in the org runs of a real run, numbered from ``first_index``."""
    terms = folder.read_terms()
    found = []
    for name in terms.organizations:
        for seed in terms.org_run_seeds:
            place = folder.org_run(name, seed)
            if not place.journal.exists():
                continue
            rows = tuple(_trainings(journal.read(place.journal), seed, first_index))
            first_index += len(rows)
            found.append(OrgRunTrainings(name, seed, rows))
    return found


def _trainings(events: Sequence[ev.Event], seed: int, index: int) -> Iterable[Recorded]:
    experiments = {e.experiment.id: e.experiment for e in events if isinstance(e, ev.Queued)}
    stops = {(e.experiment, e.attempt): e.stop for e in events if isinstance(e, ev.Started)}
    for event in events:
        if not isinstance(event, ev.Finished) or not event.result.cpu_seconds:
            continue  # without processor time it is a death that the controller wrote down, no training
        experiment = experiments[event.experiment]
        if files_of(experiment.config):
            continue  # a surrogate knows knobs; what code does it cannot learn from
        stop = stops.get((event.experiment, event.attempt))
        request = TrainingRequest(experiment.config, training_seed(seed, experiment.repeat), stop=stop)
        yield Recorded(index, "organization", request, event.result)
        index += 1


def timing_of(folder: RunFolder, predict: Callable[[TrainingRequest], TrainingResult]) -> Timing:
    """The delays in a real run's journals; ``predict`` is the surrogate's word on a training."""
    terms = folder.read_terms()
    messages: list[float] = []
    verdicts: list[float] = []
    ratios: list[float] = []
    for name in terms.organizations:
        for seed in terms.org_run_seeds:
            events = journal.read(folder.org_run(name, seed).journal)
            messages += _message_delays(events)
            verdicts += _verdict_delays(events)
            ratios += [
                math.log(row.result.seconds / predicted.seconds)
                for row in _trainings(events, seed, 0)
                if (predicted := predict(row.request)).state == row.result.state == "ok" and predicted.seconds > 0
            ]
    return Timing(
        message_s=median(messages) if messages else 0.0,
        decision_s=median(verdicts) if verdicts else 0.0,
        slowdown=math.exp(median(ratios)) if ratios else 1.0,
        spread=stdev(ratios) if len(ratios) > 1 else 0.0,
        trainings=len(ratios),
    )


def _message_delays(events: Iterable[ev.Event]) -> list[float]:
    started: dict[tuple[str, int], float] = {}
    found = []
    for event in events:
        if isinstance(event, ev.Started):
            started[event.experiment, event.attempt] = event.t
        elif isinstance(event, ev.Finished) and (event.experiment, event.attempt) in started:
            found.append(event.t - started[event.experiment, event.attempt] - event.result.seconds)
    return found


def _verdict_delays(events: Iterable[ev.Event]) -> list[float]:
    """From a candidate's first result to its first verdict by a merger."""
    proposals: dict[str, str] = {}
    finished: dict[str, float] = {}
    found = []
    for event in events:
        if isinstance(event, ev.Queued) and event.experiment.proposal and event.experiment.repeat == 0:
            proposals[event.experiment.id] = event.experiment.proposal
        elif isinstance(event, ev.Finished) and event.experiment in proposals:
            finished[proposals[event.experiment]] = event.t
        elif isinstance(event, ev.Judged) and event.actor != "controller" and event.proposal in finished:
            found.append(event.t - finished.pop(event.proposal))
    return found


def cluster_of(timing: Timing, base: dict[str, Any], name: str, devices: int) -> dict[str, Any]:
    """A cluster's description (as plain values) with the measured delays put into ``base``."""
    delays = {
        **base["delays"],
        "dispatch_s": round(timing.message_s / 2, 5),
        "report_s": round(timing.message_s / 2, 5),
        "ask_s": 0.0,
        "answer_s": 0.0,
        "decide_s": round(timing.decision_s, 5),
    }
    hardware = {
        **base["hardware"],
        "slowdown": round(timing.slowdown, 4),
        "duration_spread": round(timing.spread, 4),
        "devices_per_host": devices,
    }
    about = f"Measured on {timing.trainings} trainings of real org runs on {devices} devices."
    return {**base, "name": name, "description": about, "delays": delays, "hardware": hardware}
