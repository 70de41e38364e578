"""The journal's vocabulary: one record per kind of event, each with its time ``t`` in seconds since the start.

The journal is the truth of an org run. Controllers append an event and then apply it; every state is a replay.
A field is never removed or given a new meaning; a new one gets a default, so that old journals stay readable.
"""

from __future__ import annotations

import msgspec

from metaloop.vocabulary.decisions import Question, Steering
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.records import (
    Config,
    Cost,
    Experiment,
    Idea,
    Proposal,
    StopRule,
    TrainingResult,
)


class RunStarted(msgspec.Struct, frozen=True, tag="run_started"):
    """The org run's terms: budget in device-seconds, devices by name, the target and its identity.

    Each of ``devices`` is a group of ``devices_per_experiment`` that share each training, and costs as much.
    """

    t: float
    organization: str
    org_digest: str
    seed: int
    devices: tuple[str, ...]
    budget_s: float
    target: dict[str, str]
    backend: str
    version: str
    devices_per_experiment: int = 1


class Reserved(msgspec.Struct, frozen=True, tag="reserved"):
    """The run holds the device from now on and pays for it."""

    t: float
    device: str


class Equipped(msgspec.Struct, frozen=True, tag="equipped"):
    """What these devices are from now on: a GPU's name, or a processor's model. At a start it is said of all, later of
    those that came up again as something else."""

    t: float
    hardware: dict[str, str]


class Released(msgspec.Struct, frozen=True, tag="released"):
    """The run no longer pays for the device."""

    t: float
    device: str


class Proposed(msgspec.Struct, frozen=True, tag="proposed"):
    """A member proposed; ``config`` is what would be trained."""

    t: float
    proposal: Proposal
    config: Config
    cost: Cost


class SourceWritten(msgspec.Struct, frozen=True, tag="source_written"):
    """A text that a changed file may hold from now on, under the digest that configurations name it by."""

    t: float
    path: str
    digest: str
    text: str


class Passed(msgspec.Struct, frozen=True, tag="passed"):
    """A member had nothing to propose."""

    t: float
    actor: str
    reason: str
    cost: Cost


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A member was asked and gave no usable answer; ``proposal`` is what a review or verdict was asked on.

    ``outage``: no answer came at all; that does not count against the member.
    """

    t: float
    actor: str
    question: Question
    proposal: str | None
    reason: str
    cost: Cost
    outage: bool = False


class Reviewed(msgspec.Struct, frozen=True, tag="reviewed"):
    """A reviewer's vote."""

    t: float
    proposal: str
    actor: str
    approve: bool
    reason: str
    cost: Cost


class Rejected(msgspec.Struct, frozen=True, tag="rejected"):
    """The proposal ends before any training: voted down, a duplicate, or invalid."""

    t: float
    proposal: str
    reason: str


class Queued(msgspec.Struct, frozen=True, tag="queued"):
    """The experiment waits for a device."""

    t: float
    experiment: Experiment


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A device trains the experiment; ``attempt`` counts from 1."""

    t: float
    experiment: str
    device: str
    attempt: int
    stop: StopRule | None = None


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The experiment's one final state."""

    t: float
    experiment: str
    device: str
    attempt: int
    result: TrainingResult


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """The attempt died with its device or process; the experiment goes back to the queue, once."""

    t: float
    experiment: str
    device: str
    attempt: int
    reason: str


class CanaryStarted(msgspec.Struct, frozen=True, tag="canary_started"):
    """A device trains the canary (see ``canaries``); ``number`` counts the org run's from 1."""

    t: float
    device: str
    number: int


class CanaryEnded(msgspec.Struct, frozen=True, tag="canary_ended"):
    """What the canary came to; ``fault`` says what is wrong with it, and is empty where nothing is."""

    t: float
    device: str
    number: int
    result: TrainingResult
    fault: str


class SetAside(msgspec.Struct, frozen=True, tag="set_aside"):
    """The device is off: it trains nothing more, and the run no longer pays for it.

    ``suspects`` are the experiments that it finished since its last good canary.
    """

    t: float
    device: str
    reason: str
    suspects: tuple[str, ...]


class Dropped(msgspec.Struct, frozen=True, tag="dropped"):
    """The experiment was queued and never started, because the budget was spent: its final state."""

    t: float
    experiment: str
    reason: str


class Judged(msgspec.Struct, frozen=True, tag="judged"):
    """A merger's verdict (see ``decisions.Judge``), with the paired difference it saw."""

    t: float
    proposal: str
    actor: str
    verdict: str
    reason: str
    cost: Cost
    delta: float | None = None
    ci95: tuple[float, float] | None = None
    repeats: int = 0
    together: tuple[str, ...] = ()


class Merged(msgspec.Struct, frozen=True, tag="merged"):
    """The branch moved: ``config`` is its whole new configuration, ``spent_s`` the ledger at that time."""

    t: float
    branch: str
    commit: str
    parent: str
    proposal: str
    actor: str
    author: str
    config: Config
    delta: float | None
    ci95: tuple[float, float] | None
    repeats: int
    spent_s: float
    policy: str


class BranchReset(msgspec.Struct, frozen=True, tag="branch_reset"):
    """A feature branch starts again from trunk (after its integration was accepted or turned down)."""

    t: float
    branch: str
    commit: str
    config: Config


class StandUpBegan(msgspec.Struct, frozen=True, tag="standup_began"):
    """Dispatch stops until the stand-up ends."""

    t: float
    director: str


class StandUpEnded(msgspec.Struct, frozen=True, tag="standup_ended"):
    """What the stand-up laid down; results are now shared with those who share at stand-ups.

    ``led``: the director decided it; else it had no usable answer or is gone, and nothing is laid down.
    """

    t: float
    director: str
    steering: dict[str, Steering]
    minutes: str
    cost: Cost
    led: bool = True


class IdeaAdded(msgspec.Struct, frozen=True, tag="idea_added"):
    """An idea entered the research queue."""

    t: float
    idea: Idea


class Scouted(msgspec.Struct, frozen=True, tag="scouted"):
    """A scout has looked: ``found`` ideas were new and follow as events of their own; ``note`` says what failed."""

    t: float
    actor: str
    found: int
    note: str
    cost: Cost


class LessonsGiven(msgspec.Struct, frozen=True, tag="lessons_given"):
    """What earlier org runs found is known from now on to whoever is asked."""

    t: float
    lessons: tuple[Lesson, ...]


class ActorDied(msgspec.Struct, frozen=True, tag="actor_died"):
    """A member's process died; it is recreated from the journal."""

    t: float
    actor: str
    reason: str


class Interrupted(msgspec.Struct, frozen=True, tag="interrupted"):
    """The whole run died at about this time (its last sign of life) and was taken up again."""

    t: float


class RunEnded(msgspec.Struct, frozen=True, tag="run_ended"):
    """Nothing more will happen."""

    t: float
    reason: str


Event = (
    RunStarted
    | Reserved
    | Equipped
    | Released
    | SourceWritten
    | Proposed
    | Passed
    | Refused
    | Reviewed
    | Rejected
    | Queued
    | Started
    | Finished
    | Lost
    | CanaryStarted
    | CanaryEnded
    | SetAside
    | Dropped
    | Judged
    | Merged
    | BranchReset
    | StandUpBegan
    | StandUpEnded
    | IdeaAdded
    | Scouted
    | LessonsGiven
    | ActorDied
    | Interrupted
    | RunEnded
)
