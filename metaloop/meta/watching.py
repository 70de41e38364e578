"""How a run is getting on, from its folder alone: running or finished, here or copied.

Journals are read as they grow, so that a look costs what happened since the last one. What is shown of an improvement
is what the organization itself sees, on the validation split and on its own seeds: a hint, which confirmation then
bears out or does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from metaloop.actors.state import OrgState
from metaloop.files.journal import Tail
from metaloop.files.run_folder import OrgRunFolder, RunFolder, RunTerms, last_sign
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.vocabulary.records import TRUNK, digest, paired

Phase = Literal["waiting", "running", "silent", "ended", "confirming", "confirmed"]
"""``silent``: no sign of life for too long, whoever ran it is gone or hangs; ``ended``: and its
confirmation has not begun."""
OVER = ("ended", "confirming", "confirmed")
SILENCE_S = 10.0
"""The Ray backend leaves a sign every second."""
MIRRORED_SILENCE_S = 60.0
"""What is seen in a mirror is up to 15 s old, and older where the storage is slow."""


class DeviceNow(msgspec.Struct, frozen=True):
    """A held device, or group of them that shares each training: what it trains, for whom, and since how many seconds;
    ``experiment`` is empty where it idles."""

    device: str
    experiment: str
    purpose: str
    author: str
    seconds: float


class OrgRunNow(msgspec.Struct, frozen=True):
    """An org run at this moment. ``gain_val_bpb``: baseline minus trunk on the validation split, over the repeats that
    both have; None before there are any. Hours are device-hours; ``eta_s`` is wall time until its budget is spent,
    confirmation not included. ``utilization`` counts the trainings that are under way. Each of ``devices`` is a group
    of ``devices_per_experiment``."""

    stage: str
    organization: str
    seed: int
    phase: Phase
    seconds: float
    silent_s: float
    devices: tuple[DeviceNow, ...]
    queue: int
    experiments: int
    merges: int
    baseline_bpb: float | None
    trunk_bpb: float | None
    gain_val_bpb: float | None
    gain_val_per_gpu_hour: float | None
    spent_gpu_hours: float
    budget_gpu_hours: float
    utilization: float
    tokens: int
    usd: float
    confirmations: int
    eta_s: float | None
    devices_per_experiment: int = 1

    @property
    def busy(self) -> int:
        """Devices that train."""
        return self.devices_per_experiment * sum(bool(device.experiment) for device in self.devices)

    @property
    def held(self) -> int:
        """Devices that are paid for."""
        return self.devices_per_experiment * len(self.devices)


class RunNow(msgspec.Struct, frozen=True):
    """A run or an evolution at this moment; what has not begun is in the counts only."""

    path: str
    finished: bool
    org_runs_planned: int
    org_runs_ended: int
    spent_gpu_hours: float
    budget_gpu_hours: float
    tokens: int
    usd: float
    eta_s: float | None
    org_runs: tuple[OrgRunNow, ...]


class Watch:
    """Looks at a run's or an evolution's folder again and again; who leaves no sign of life for longer than
    ``silence_s`` is called silent."""

    def __init__(self, path: Path, silence_s: float) -> None:
        self._path = path
        self._silence_s = silence_s
        self._org_runs: dict[Path, _OrgRunWatch] = {}

    def look(self, wall: float) -> RunNow:
        """How it is at ``wall`` (Unix seconds, as file times are).

        Raises:
            FileError: it is the folder of no run, or a file in it is damaged.
        """
        planned, seen = 0, []
        for folder in self._folders():
            terms = folder.read_terms()
            for name in terms.organizations:
                for seed in terms.org_run_seeds:
                    planned += 1
                    seen.append(self._watched(folder, name, seed).look(terms, wall))
        return _sum_up(self._path, planned, [each for each in seen if each.phase != "waiting"], _budget(seen))

    def _folders(self) -> list[RunFolder]:
        """The folders of real trainings: an evolution's stages, or the run itself."""
        if not EvolutionFolder(self._path).terms.exists():
            return [RunFolder(self._path)]
        stages = [RunFolder(terms.parent) for terms in sorted(self._path.glob("*/run.json"))]
        return [stage for stage in stages if stage.read_terms().backend != "sim"]

    def _watched(self, folder: RunFolder, name: str, seed: int) -> _OrgRunWatch:
        place = folder.org_run(name, seed)
        if place.path not in self._org_runs:
            stage = "" if folder.path == self._path else folder.path.name
            self._org_runs[place.path] = _OrgRunWatch(place, (stage, name, seed), self._silence_s)
        return self._org_runs[place.path]


class _Signs(NamedTuple):
    """Run time now, seconds without a sign of life and whether that is too long, confirmations so far."""

    now: float
    silent_s: float
    silent: bool
    confirmations: int


class _OrgRunWatch:
    """One org run, followed."""

    def __init__(self, place: OrgRunFolder, names: tuple[str, str, int], silence_s: float) -> None:
        self._place = place
        self._names = names
        self._silence_s = silence_s
        self._tail = Tail(place.journal)
        self._state = OrgState()

    def look(self, terms: RunTerms, wall: float) -> OrgRunNow:
        try:
            news = self._tail.news()
        except EOFError:
            self._tail, self._state = Tail(self._place.journal), OrgState()
            news = self._tail.news()
        for event in news:
            self._state.apply(event)
        return _org_run_now(self._names, self._state, self._signs(terms, wall), terms)

    def _signs(self, terms: RunTerms, wall: float) -> _Signs:
        lines = self._place.confirmations
        confirmations = lines.read_bytes().count(b"\n") if lines.exists() else 0
        if self._state.ended or terms.backend == "sim":
            return _Signs(self._state.now, 0.0, False, confirmations)
        alive = self._place.alive
        touched = [file.stat().st_mtime for file in (alive, self._place.journal) if file.exists()]
        silent_s = max(0.0, wall - max(touched, default=wall))
        now = max(self._state.now, last_sign(self._place))
        return _Signs(now, silent_s, silent_s > self._silence_s, confirmations)


def _org_run_now(names: tuple[str, str, int], state: OrgState, signs: _Signs, terms: RunTerms) -> OrgRunNow:
    stage, organization, seed = names
    now = signs.now
    spent = state.ledger.spent_s(now)
    devices = _devices(state, now)
    under_way_s = math.fsum(device.seconds for device in devices if device.purpose not in ("", "canary"))
    busy_s = state.ledger.busy_s + state.ledger.group * under_way_s
    baseline, trunk, gain = _improvement(state)
    rate = state.ledger.rate
    return OrgRunNow(
        stage=stage,
        organization=organization,
        seed=seed,
        phase=_phase(state, signs, _to_confirm(state, terms)),
        seconds=now,
        silent_s=signs.silent_s,
        devices=devices,
        queue=len(state.queue),
        experiments=state.finished,
        merges=state.branches[TRUNK].merges if state.branches else 0,
        baseline_bpb=baseline,
        trunk_bpb=trunk,
        gain_val_bpb=gain,
        gain_val_per_gpu_hour=gain / (spent / 3600) if gain is not None and spent > 0 else None,
        spent_gpu_hours=spent / 3600,
        budget_gpu_hours=terms.gpu_hours,
        utilization=min(1.0, busy_s / spent) if spent > 0 else 0.0,
        tokens=state.ledger.tokens,
        usd=state.ledger.usd,
        confirmations=signs.confirmations,
        eta_s=max(0.0, terms.budget_s - spent) / rate if rate else None,
        devices_per_experiment=state.ledger.group,
    )


def _phase(state: OrgState, signs: _Signs, to_confirm: int) -> Phase:
    if state.started is None:
        return "waiting"
    if not state.ended:
        return "silent" if signs.silent else "running"
    if not signs.confirmations:
        return "ended"
    return "confirming" if signs.confirmations < to_confirm else "confirmed"


def _to_confirm(state: OrgState, terms: RunTerms) -> int:
    """How many trainings the harness makes of trunk: every commit's, or those of both ends, on every pair's seed."""
    merges = state.branches[TRUNK].merges if state.branches else 0
    return terms.confirm_pairs * (1 + (min(1, merges) if terms.confirm == "ends" else merges))


def _devices(state: OrgState, now: float) -> tuple[DeviceNow, ...]:
    return tuple(_device(state, name, now) for name in sorted(state.ledger.held, key=lambda d: state.ranks[d]))


def _device(state: OrgState, name: str, now: float) -> DeviceNow:
    if name in state.canaries.running:
        number, since = state.canaries.running[name]
        return DeviceNow(name, f"canary-{number}", "canary", "", max(0.0, now - since))
    running = state.running.get(name)
    if running is None:
        return DeviceNow(name, "", "", "", 0.0)
    entry = state.experiments[running]
    experiment = entry.experiment
    author = state.proposals[experiment.proposal].proposal.author if experiment.proposal else ""
    return DeviceNow(name, running, experiment.purpose, author, max(0.0, now - entry.started))


def _improvement(state: OrgState) -> tuple[float | None, float | None, float | None]:
    """Scores of baseline and trunk, and the mean difference over the repeats that both have."""
    if not state.branches:
        return None, None, None
    baseline = state.scores.get(digest({}), {})
    trunk = state.scores.get(state.branches[TRUNK].key, {})
    gains = paired(baseline, trunk)
    return _mean(baseline.values()), _mean(trunk.values()), _mean(gains)


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def _budget(seen: Sequence[OrgRunNow]) -> float:
    return math.fsum(each.budget_gpu_hours for each in seen)


def _sum_up(path: Path, planned: int, seen: list[OrgRunNow], budget: float) -> RunNow:
    ended = [each for each in seen if each.phase in OVER]
    return RunNow(
        path=str(path),
        finished=(path / "results.json").exists(),
        org_runs_planned=planned,
        org_runs_ended=len(ended),
        spent_gpu_hours=math.fsum(each.spent_gpu_hours for each in seen),
        budget_gpu_hours=budget,
        tokens=sum(each.tokens for each in seen),
        usd=math.fsum(each.usd for each in seen),
        eta_s=_eta(planned, seen, len(ended)),
        org_runs=tuple(seen),
    )


def _eta(planned: int, seen: list[OrgRunNow], ended: int) -> float | None:
    """Wall time until all budgets are spent, confirmations not included: what is left of those under way, and as long
    for each that has not begun as those took that have ended, as many at a time as there are now."""
    running = [each.eta_s for each in seen if each.eta_s is not None]
    to_come = planned - len(seen)
    if not running and (to_come or ended < planned):
        return None
    lengths = [each.seconds for each in seen if each.phase in OVER]
    lengths = lengths or [each.seconds + (each.eta_s or 0.0) for each in seen]
    each_takes = math.fsum(lengths) / len(lengths) if lengths else 0.0
    return max(running, default=0.0) + to_come * each_takes / max(1, len(running))
