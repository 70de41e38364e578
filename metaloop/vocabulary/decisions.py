"""What a member is asked (:class:`Observation`) and what it may answer (the decisions).

A brain decides and never acts: it gets an observation and returns a decision that carries its declared cost.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from metaloop.vocabulary.code import Edit
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.records import Candidate, Config, Cost, Head, Idea, Outcome, Proposal

Question = Literal["propose", "review", "judge", "standup", "scout"]


class Steering(msgspec.Struct, frozen=True):
    """What a director has laid down for a proposer: knob groups to look at, and a factor on its boldness."""

    focus: tuple[str, ...] = ()
    boldness_factor: float = 1.0


class Observation(msgspec.Struct, frozen=True):
    """Everything a member knows when it decides.

    ``index`` counts the member's own decisions from 0 and names its seed stream, so that a recreated member
    decides the same. ``news`` holds the outcomes it has not been shown before (all of them after a rebirth).
    ``since_merge`` counts finished experiments since the head last moved: the measure of a plateau. ``ideas`` are those
    that nobody has taken up; a scout is shown all that there ever were.
    """

    question: Question
    index: int
    head: Head
    budget_spent: float
    news: tuple[Outcome, ...] = ()
    pending: tuple[Config, ...] = ()
    ideas: tuple[Idea, ...] = ()
    steering: Steering = Steering()
    since_merge: int = 0
    proposal: Proposal | None = None
    proposal_config: Config | None = None
    candidate: Candidate | None = None
    held: tuple[Candidate, ...] = ()
    sources: dict[str, str] = {}
    """The head's editable files by path; only who may edit them is shown them."""
    lessons: tuple[Lesson, ...] = ()
    """What earlier org runs found; told once in a member's life, with its first question."""


class Propose(msgspec.Struct, frozen=True, tag="propose"):
    """Try these changes of knobs, and edits of the files that the observation shows."""

    changes: Config
    hypothesis: str
    predicted_delta: float | None = None
    screen_fraction: float = 0.0
    screen_margin: float = 0.0
    screen_keep: float = 1.0
    idea: str | None = None
    cost: Cost = Cost()
    edits: tuple[Edit, ...] = ()


class Pass(msgspec.Struct, frozen=True, tag="pass"):
    """Nothing to propose now."""

    reason: str
    cost: Cost = Cost()


class Review(msgspec.Struct, frozen=True, tag="review"):
    """For or against the proposal."""

    approve: bool
    reason: str
    cost: Cost = Cost()


class Judge(msgspec.Struct, frozen=True, tag="judge"):
    """A merger's verdict on a candidate.

    ``merge`` moves the branch; ``discard`` ends the candidate; ``repeat`` asks for scores on repeats
    0 … ``repeats``−1; ``hold`` keeps it for later; ``retest`` asks to train it again on the moved head;
    ``combine`` trains the changes of ``together`` (held proposals, and this one) as one.
    """

    verdict: Literal["merge", "discard", "repeat", "hold", "retest", "combine"]
    reason: str
    repeats: int = 0
    together: tuple[str, ...] = ()
    cost: Cost = Cost()


class StandUp(msgspec.Struct, frozen=True, tag="standup"):
    """What the stand-up decided, by member name; members not named keep their steering."""

    steering: dict[str, Steering]
    minutes: str
    cost: Cost = Cost()


class Found(msgspec.Struct, frozen=True, tag="found"):
    """What a scout found: ideas that are new to the research queue, and a note on what it could not look at."""

    ideas: tuple[Idea, ...] = ()
    note: str = ""
    cost: Cost = Cost()


class Refuse(msgspec.Struct, frozen=True, tag="refuse"):
    """No usable answer to any question: the brain could not be brought to one, and none is made up in its place.

    ``outage``: none came at all, which says nothing about the brain.
    """

    reason: str
    cost: Cost = Cost()
    outage: bool = False


Decision = Propose | Pass | Review | Judge | StandUp | Found | Refuse
