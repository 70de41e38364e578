"""The layout of a run's folder, in one place.

::

    OUT/
      run.json                       the terms of the command (RunTerms): what `resume` needs
      orgs/NAME/                     each organization, whole
      notes/SOURCE/                  the notes that scouts of a simulated run read, as they were when it was made
      NAME/seed-S/journal.jsonl      the truth of an org run
      NAME/seed-S/repo/              its git repository
      NAME/seed-S/inbox.jsonl        ideas that people add while it runs
      NAME/seed-S/transcripts/       every exchange with a model or a coding agent
      NAME/seed-S/worktrees/         where coding agents work; empty but while they do
      NAME/seed-S/questions/         what people are asked, and what they answered
      NAME/seed-S/alive              last sign of life, in seconds of run time
      NAME/seed-S/transcripts/       every exchange with a model, one file each
      NAME/seed-S/confirmation.jsonl the harness's trainings after the run (Confirmation, one a line)
      results.json                   what `--json` prints
      report.html
      mlflow.json                    MLflow run ids already made
      limits/                        what models were asked lately, for the limits that members keep together
      lock                           held by the command that is at work here
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar, cast

import msgspec

from metaloop.files.lines import GO_ON, append, cut_torn_line, hold
from metaloop.vocabulary.agents import AgentCard, HumanTerms
from metaloop.vocabulary.canaries import NO_CANARIES, CanaryTerms
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.models import UNLIMITED, Allowance, ModelCard, Thinkers
from metaloop.vocabulary.records import Config, FinalState, Idea
from metaloop.vocabulary.sources import Source

T = TypeVar("T")


class RunTerms(msgspec.Struct, frozen=True):
    """What a run was asked to do; written before anything starts, never changed."""

    organizations: tuple[str, ...]
    backend: str
    trainer: str
    preset: str
    data: str
    gpu_hours: float
    devices: int
    seed: int
    seeds: int
    confirm_pairs: int
    version: str
    command: str
    parents: dict[str, str] = {}
    """Evolved organizations: child name to parent name."""
    cluster: dict[str, Any] = {}
    """The simulated cluster's whole description; empty where the run was real."""
    models: tuple[ModelCard, ...] = ()
    """The models that members ask, as their cards were when the run was made."""
    agents: tuple[AgentCard, ...] = ()
    """The coding agents, likewise."""
    human: HumanTerms = HumanTerms()
    """How long people are waited for."""
    allowance: Allowance = UNLIMITED
    """What thinking may cost in each org run."""
    total_allowance: Allowance = UNLIMITED
    """What it may cost in all of them together."""
    confirm: Literal["trunk", "ends"] = "trunk"
    """What is trained again after an org run: every trunk commit, or only the baseline and the last one."""
    sources: tuple[Source, ...] = ()
    """Where scouts look, as it was when the run was made; paths of folders may count from the run's folder."""
    lessons: tuple[Lesson, ...] = ()
    """What earlier org runs found, for organizations that want to know."""
    pace: float = 1.0
    """Real seconds for each that a simulated trainer claims, where Ray hosts it."""
    in_order: bool = False
    """Members' answers are taken in the order of the questions, before any training's result."""
    canaries: CanaryTerms = NO_CANARIES
    """How devices are watched."""
    devices_per_gpu: int = 1
    """Devices that share one GPU."""
    lanes: int = 1
    """Org runs side by side, each with devices of its own."""
    max_gpu_hours: float = 0.0
    """The most that all org runs and confirmations together may take; 0: no limit."""
    devices_per_experiment: int = 1
    """Devices that share each training: those of an org run come in groups of so many."""
    accelerator: str = ""
    """What all devices were asked to be, as Ray's resource ``accelerator_type:NAME`` has it; empty: anything."""

    @property
    def thinkers(self) -> Thinkers:
        """Who may decide for members."""
        return Thinkers(self.models, self.agents, self.human)

    @property
    def org_run_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + self.seeds))

    @property
    def devices_in_words(self) -> str:
        """``8 devices, 4 to each training``."""
        together = f", {self.devices_per_experiment} to each training" if self.devices_per_experiment > 1 else ""
        return f"{self.devices} device{'s' if self.devices > 1 else ''}{together}"

    @property
    def budget_s(self) -> float:
        """Device-seconds granted to each org run."""
        return self.gpu_hours * 3600.0


class Confirmation(msgspec.Struct, frozen=True):
    """One training by the harness: a trunk commit's configuration, on a fresh seed, scored on unseen data.

    ``pair`` numbers the seed: all commits of an org run, the baseline among them, are trained on the same seeds.
    ``seconds`` is what it cost here, in device-seconds: 0 where the same training was done for another commit or
    organization.
    """

    commit: str
    config: Config
    pair: int
    seed: int
    state: FinalState
    bpb: dict[str, float]
    seconds: float


class OrgRunFolder:
    """Paths of one org run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal.jsonl"
        self.repository = path / "repo"
        self.inbox = path / "inbox.jsonl"
        self.alive = path / "alive"
        self.transcripts = path / "transcripts"
        self.worktrees = path / "worktrees"
        self.questions = path / "questions"
        self.confirmations = path / "confirmation.jsonl"
        self.limits = path.parent.parent / "limits"


class RunFolder:
    """Paths of a whole run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.terms = path / "run.json"
        self.organizations = path / "orgs"
        self.notes = path / "notes"
        self.results = path / "results.json"
        self.report = path / "report.html"
        self.tracking = path / "mlflow.json"

    def org_run(self, organization: str, seed: int) -> OrgRunFolder:
        return OrgRunFolder(self.path / organization / f"seed-{seed}")

    def read_terms(self) -> RunTerms:
        """The terms; :class:`FileError` where the folder is no run's."""
        return read_json(self.terms, RunTerms)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all (a temporary file beside it, then a rename)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise FileError(path, None, f"cannot be written: {error.strerror}. Mend that; {GO_ON}") from None


def read_json(path: Path, kind: type[T]) -> T:
    """The record in ``path``; :class:`FileError` where it is missing or of another shape."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise FileError(path, None, f"cannot be read: {error.strerror}. Name the folder of a metaloop run.") from None
    except msgspec.MsgspecError as error:
        raise FileError(path, None, f"not a {kind.__name__}: {error}.") from None


def append_line(path: Path, record: msgspec.Struct) -> None:
    """Append one record as a line of JSON; a torn last line of a killed process is cut off first.

    Raises:
        FileError: it could not be written; then nothing of it stands there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_torn_line(path)
    with path.open("ab", buffering=0) as file:
        append(cast(BinaryIO, file), path, msgspec.json.encode(record) + b"\n")


def leave_sign(folder: OrgRunFolder, now: float) -> None:
    """A sign of life at run time ``now``. Where it cannot be left, the last one stands: it says until when a run that
    died is charged, and the journal's own times say so too."""
    temporary = folder.alive.with_name(".alive")
    with contextlib.suppress(OSError):
        temporary.write_text(f"{now:.3f}\n")
        temporary.replace(folder.alive)


def last_sign(folder: OrgRunFolder) -> float:
    """Run time of the last sign of life; 0 where there is none or the write was torn."""
    try:
        return float(folder.alive.read_text())
    except (OSError, ValueError):
        return 0.0


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Be the only command at work in a folder; ``lock`` in it says who is.

    Raises:
        FileError: another command is at work there.
    """
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("a+b", buffering=0) as file:
        lock = cast(BinaryIO, file)
        hold(lock, path)
        os.ftruncate(lock.fileno(), 0)
        with contextlib.suppress(OSError):
            lock.write(f"{os.getpid()}\n".encode())
        yield


def read_lines(path: Path, kind: type[T]) -> list[T]:
    """All whole records of a file of JSON lines; a torn last line is dropped, a missing file is empty.

    Raises:
        FileError: a whole line has another shape (``path:line``).
    """
    if not path.exists():
        return []
    records: list[T] = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            records.append(msgspec.json.decode(line, type=kind))
        except msgspec.MsgspecError as error:
            raise FileError(path, number, f"not a {kind.__name__}: {error}. Remove the line.") from None
    return records


def read_inbox(folder: OrgRunFolder) -> list[Idea]:
    """The ideas people have added to an org run so far."""
    return read_lines(folder.inbox, Idea)
