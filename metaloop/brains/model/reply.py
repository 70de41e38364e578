"""What a model may answer to each question, and its answer read into a decision or a complaint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from metaloop.brains.merging import least_gain, one_sided_p
from metaloop.brains.model.chat import UNREADABLE
from metaloop.vocabulary.code import MOST_EDITS, Edit, apply_edits, source_digest
from metaloop.vocabulary.decisions import (
    Decision,
    Judge,
    Observation,
    Pass,
    Propose,
    Question,
    Review,
    StandUp,
    Steering,
)
from metaloop.vocabulary.errors import EditError, TrainerError
from metaloop.vocabulary.records import Candidate, Cost
from metaloop.vocabulary.space import Space
from metaloop.vocabulary.text import one_line

MOST_TEXT = 1000
"""Characters of a hypothesis or reason that are kept."""
MOST_CHANGES = 40
MOST_REPEATS = 8
Text = Annotated[str, Meta(description="One or two sentences.")]


class Change(msgspec.Struct, frozen=True):
    """One knob, put to a value."""

    knob: str
    value: bool | int | float | str


class ProposeReply(msgspec.Struct, frozen=True):
    """A change set; none to propose nothing now."""

    hypothesis: Annotated[str, Meta(description="Why it should help, in one sentence that could turn out false.")]
    changes: Annotated[list[Change], Meta(description="Only what differs from the head; empty: nothing to propose.")]
    predicted_delta: Annotated[float, Meta(description="Expected bpb minus the head's; negative is better.")]
    idea: Annotated[str | None, Meta(description="Id of the idea that it follows, if any.")]


class EditReply(msgspec.Struct, frozen=True):
    """One passage of a file and what takes its place."""

    path: str
    find: Annotated[str, Meta(description="Copied from the file, exactly; it occurs there once.")]
    replace: str


class ProposeCodeReply(ProposeReply, frozen=True):
    """A change set of knobs, code, or both; none of either to propose nothing now."""

    edits: Annotated[list[EditReply], Meta(description="Edits of the code, in order; each sees the one before it.")]


class ReviewReply(msgspec.Struct, frozen=True):
    """A vote."""

    reason: Text
    approve: bool


class JudgeReply(msgspec.Struct, frozen=True):
    """A verdict."""

    reason: Text
    verdict: Literal["merge", "discard", "repeat", "hold", "retest", "combine"]
    repeats: Annotated[int, Meta(description="For repeat: scores on this many seeds, those that are there included.")]
    together: Annotated[list[str], Meta(description="For combine: ids of held proposals to train along.")]


class Pointer(msgspec.Struct, frozen=True):
    """Where a proposer should look."""

    member: str
    focus: Annotated[list[str], Meta(description="Knob groups; empty: all.")]
    boldness_factor: Annotated[float, Meta(description="0.1 to 10; 1 leaves its steps as they are.")]


class StandUpReply(msgspec.Struct, frozen=True):
    """What the meeting lays down."""

    minutes: Text
    steering: list[Pointer]


@dataclass(frozen=True)
class Rules:
    """What binds an answer whatever a model says: the knobs that may be changed, and the member's policy.

    ``screening``: fraction, margin and share to keep of the early look at a training. ``min_gain`` (bpb): no merge
    below it; ``None``: no merge at all; ``gain_per_line`` comes on top for every line of code added, net. ``test``:
    repeats and alpha of the one-sided paired t test that a merge must pass, where the policy asks for one.
    ``trust_stale``: a winner over an older head may be merged as it is. ``proposers``: whom a director may steer.
    ``offers``: the edits of code that may be chosen, where a model does not write its own.
    """

    space: Space
    screening: tuple[float, float, float] = (0.0, 0.0, 1.0)
    min_gain: float | None = 0.0
    gain_per_line: float = 0.0
    test: tuple[int, float] | None = None
    trust_stale: bool = True
    proposers: tuple[str, ...] = ()
    offers: tuple[Edit, ...] = ()


REPLIES: dict[Question, type[msgspec.Struct]] = {
    "propose": ProposeReply,
    "review": ReviewReply,
    "judge": JudgeReply,
    "standup": StandUpReply,
}


def reply_type(observation: Observation) -> type[msgspec.Struct]:
    """What is answered; who is shown code may edit it."""
    if observation.question == "propose" and observation.sources:
        return ProposeCodeReply
    return REPLIES[observation.question]


def read(text: str, observation: Observation, rules: Rules, cost: Cost) -> Decision | str:
    """The decision that a model's text is, or what is wrong with it."""
    try:
        reply = msgspec.json.decode(_object(text), type=reply_type(observation))
    except UNREADABLE as error:
        return f"it is not the JSON that was asked for: {error}"
    if isinstance(reply, ProposeReply):
        return _propose(reply, observation, rules, cost)
    if isinstance(reply, ReviewReply):
        return Review(reply.approve, _kept(reply.reason), cost)
    if isinstance(reply, JudgeReply):
        return _judge(reply, observation, rules, cost)
    assert isinstance(reply, StandUpReply)
    return _stand_up(reply, rules, cost)


def _object(text: str) -> str:
    """The JSON object in a text: models like to put it in a fence, or to talk around it."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _propose(reply: ProposeReply, observation: Observation, rules: Rules, cost: Cost) -> Propose | Pass | str:
    edits = tuple(Edit(e.path, e.find, e.replace) for e in reply.edits) if isinstance(reply, ProposeCodeReply) else ()
    if not reply.changes and not edits:
        return Pass(_kept(reply.hypothesis) or "nothing to propose", cost)
    if len(reply.changes) > MOST_CHANGES:
        return f"it changes {len(reply.changes)} knobs, at most {MOST_CHANGES} are allowed"
    names = [change.knob for change in reply.changes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        return f"it sets {twice} twice"
    try:
        changes = rules.space.validate({change.knob: change.value for change in reply.changes})
    except TrainerError as error:
        return str(error)
    if edits and (against := no_edit(edits, observation.sources)):
        return against
    if reply.idea is not None and reply.idea not in {idea.id for idea in observation.ideas}:
        return f"there is no idea {reply.idea!r}; idea must be null or one of those that are listed"
    fraction, margin, keep = rules.screening
    return Propose(
        changes=changes,
        hypothesis=_kept(reply.hypothesis),
        predicted_delta=reply.predicted_delta,
        screen_fraction=fraction,
        screen_margin=margin,
        screen_keep=keep,
        idea=reply.idea,
        cost=cost,
        edits=edits,
    )


def no_edit(edits: tuple[Edit, ...], sources: Mapping[str, str]) -> str | None:
    """Why the edits cannot be made."""
    if len(edits) > MOST_EDITS:
        return f"it makes {len(edits)} edits, at most {MOST_EDITS} are allowed"
    try:
        changed = apply_edits(sources, edits)
        for path, text in changed.items():
            source_digest(path, text)
    except EditError as error:
        return str(error)
    return None if changed else "its edits change nothing"


def combinable(observation: Observation) -> list[str]:
    """Ids of what may be trained along: held, and not turned down in a combination before."""
    return [candidate.proposal.id for candidate in observation.held if single(candidate)]


def single(candidate: Candidate) -> bool:
    """Whether it may be combined: it is one proposal's change, and stands alone for the first time."""
    return candidate.proposal.purpose == "candidate" and not candidate.combined


def _judge(reply: JudgeReply, observation: Observation, rules: Rules, cost: Cost) -> Judge | str:
    candidate = observation.candidate
    assert candidate is not None
    if observation.budget_spent >= 1.0 and reply.verdict not in ("merge", "discard"):
        return "the budget is spent: only merge and discard are left"
    if reply.verdict == "merge" and (against := no_merge(candidate, rules)):
        return against
    if reply.verdict == "repeat" and not 1 <= reply.repeats <= MOST_REPEATS:
        return f"repeats must lie in [1, {MOST_REPEATS}] for the verdict repeat, got {reply.repeats}"
    if reply.verdict == "retest" and not candidate.stale:
        return "retest is for a candidate whose head has moved; this one's has not"
    if reply.verdict in ("hold", "combine") and not single(candidate):
        return "it was part of a combination already: it can be merged, discarded or repeated"
    held = combinable(observation)
    unknown = next((one for one in reply.together if one not in held), None)
    if reply.verdict == "combine" and (unknown or not reply.together):
        return f"together must name held proposals ({', '.join(held) or 'there are none'}), got {reply.together}"
    return Judge(
        reply.verdict,
        _kept(reply.reason),
        reply.repeats if reply.verdict == "repeat" else 0,
        tuple(reply.together) if reply.verdict == "combine" else (),
        cost,
    )


def no_merge(candidate: Candidate, rules: Rules) -> str | None:
    """Why the member's policy does not let it be merged."""
    if rules.min_gain is None:
        return "your policy is never to merge"
    if candidate.stale and not rules.trust_stale:
        return "your policy is to train it again where the head has moved: retest, or discard"
    deltas = candidate.base_deltas() if candidate.stale else candidate.deltas()
    gain = -math.fsum(deltas) / len(deltas) if deltas else None
    least = least_gain(candidate, rules.min_gain, rules.gain_per_line)
    if gain is None or gain < least or (gain <= 0 and least >= 0):
        found = "has no score to compare" if gain is None else f"gains {gain:+.4f} bpb"
        return f"your policy asks for a gain of at least {least:g} bpb, the candidate {found}"
    if rules.test is None:
        return None
    repeats, alpha = rules.test
    if len(deltas) < repeats:
        return f"your policy asks for {repeats} repeats before a merge, there are {len(deltas)}"
    p = one_sided_p(deltas) if len(deltas) > 1 else 0.0
    return f"your policy asks for significance at {alpha:g}, its p value is {p:.3f}" if p > alpha else None


def _stand_up(reply: StandUpReply, rules: Rules, cost: Cost) -> StandUp | str:
    groups = rules.space.groups
    stranger = next((p.member for p in reply.steering if p.member not in rules.proposers), None)
    if stranger is not None:
        return f"there is no proposer {stranger!r}; known: {', '.join(rules.proposers)}"
    for pointer in reply.steering:
        unknown = next((group for group in pointer.focus if group not in groups), None)
        if unknown:
            return f"there is no knob group {unknown!r}; known: {', '.join(sorted(groups))}"
        if not 0.1 <= pointer.boldness_factor <= 10:
            return f"boldness_factor must lie in [0.1, 10], got {pointer.boldness_factor:g}"
    steering = {p.member: Steering(tuple(p.focus), p.boldness_factor) for p in reply.steering}
    return StandUp(steering, _kept(reply.minutes), cost)


def _kept(text: str) -> str:
    return one_line(text, MOST_TEXT)
