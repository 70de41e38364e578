"""The records of a race: its terms, its jobs, what comes back, where it stands, how it ended."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

Goal = Literal["accept", "screen"]
"""``accept``: ends when a challenger is proven better than the champion. ``screen``: only narrows the field."""

Ending = Literal["accepted", "field", "blocks", "budget"]
"""Why a race ended: one was accepted; no more challengers left than are to be kept; all blocks run; budget spent."""

Cause = Literal["beaten", "hopeless", "halved", "budget", "control"]
"""Why somebody left: the leader's e-value against it was large enough; it could hardly be accepted any more; it was
not among those kept; the budget no longer paid for it; a control had been compared for as long as was asked."""


class Cut(msgspec.Struct, frozen=True):
    """After ``blocks`` blocks at most ``keep`` challengers go on, those with the largest mean differences."""

    blocks: int
    keep: int


class RaceTerms(msgspec.Struct, frozen=True):
    """What is raced, and how sure one wants to be. Scores are the larger the better.

    ``champion`` is the parent: it runs in every block and never leaves. ``controls`` run in the first
    ``control_blocks`` blocks and are never accepted; those in ``twins`` are the champion under another name (A/A, no-op
    child), so one that differs significantly from it means that the measuring is broken. A twin must have luck of
    its own (other member names, hence other seed streams): a byte-identical one never differs, whatever is broken.

    ``alpha``: the chance that any challenger that is not better is accepted, at most.
    ``drop_error``: the chance that the truly best is ever ruled out as *beaten*, at most.
    ``futility``: a challenger leaves when its predictive probability of being accepted falls below this; 0 for never.
    A ``screen`` accepts nobody, so nobody leaves it as hopeless.
    ``effects``: the effect sizes that the test bets on.

    A block is an org-run seed; blocks are numbered from 0. The race is looked at after ``least`` blocks, and then
    after every ``every``, until ``most``. ``budget`` is in units of cost, hard; ``job_cost`` is the most that a
    job (one org run) can cost. ``cuts`` is the schedule of halving; a ``screen`` ends when at most ``keep`` are left.
    """

    champion: str
    challengers: tuple[str, ...]
    controls: tuple[str, ...]
    twins: tuple[str, ...]
    goal: Goal
    alpha: float
    drop_error: float
    futility: float
    effects: tuple[float, ...]
    least: int
    most: int
    every: int
    control_blocks: int
    cuts: tuple[Cut, ...]
    keep: int
    budget: float
    job_cost: float

    def level(self) -> float:
        """The e-value at which a challenger is accepted: Bonferroni over all that ever raced."""
        return max(1, len(self.challengers)) / self.alpha

    def drop_level(self) -> float:
        """The e-value of the leader against another at which that one is beaten: the best has at most that many
        opponents (the other challengers and the champion)."""
        return max(1, len(self.challengers)) / self.drop_error


class Job(NamedTuple):
    """One org run to do: an organization on the seed of a block. The jobs of one block belong on one machine."""

    name: str
    block: int


class Observation(msgspec.Struct, frozen=True):
    """An org run that was done: its score (``None`` if it crashed) and what it cost."""

    name: str
    block: int
    score: float | None
    cost: float


class Exit(msgspec.Struct, frozen=True):
    """Somebody left the race after ``blocks`` blocks."""

    blocks: int
    cause: Cause


class Standing(msgspec.Struct, frozen=True):
    """How somebody compares with the champion on the blocks that both ran.

    ``difference`` is the mean paired difference of scores (positive: better than the champion) and ``interval`` its
    confidence sequence at the race's alpha, not corrected for the number of challengers; ``None`` where unknown.
    """

    name: str
    blocks: int
    missing: int
    difference: float | None
    interval: tuple[float, float] | None
    e_value: float
    left: Exit | None


class Verdict(msgspec.Struct, frozen=True):
    """Where a race stands. ``ended`` is ``None`` while it goes on.

    ``standings`` holds challengers and controls, the best first. ``suspect`` names twins that came out significantly
    different from the champion (two-sided, at ``alpha`` over all of them): then nothing else here is to be believed.
    """

    ended: Ending | None
    accepted: str | None
    blocks: int
    org_runs: int
    spent: float
    standings: tuple[Standing, ...]
    suspect: tuple[str, ...]
