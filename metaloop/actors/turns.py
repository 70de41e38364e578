"""Whose turn it is to propose: everyone's alike, or rather that of whoever brings most for the device time.

``by-gain`` is a bandit over the members. A member's rate is what its trainings were better than the heads they were
made for, over the device seconds that they took; older trainings count less. Nobody's rate is known well, so each is
drawn by :data:`PRIOR` trainings of average length to a hopeful :data:`HOPE` times the common one (optimism in the face
of uncertainty: Lai and Robbins 1985): who was not asked for a while comes back to that, and is asked again. Rates are
compared with each other only, so that nothing depends on what a bit is worth or how long a training takes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from metaloop.actors.state import OrgState
from metaloop.vocabulary.organization import Member, Organization
from metaloop.vocabulary.records import Outcome

FADE = 0.93
"""What is left of the record with each finished training: half of it after ten."""
PRIOR = 2.0
"""Trainings at a hopeful rate that every member is granted."""
HOPE = 1.2
"""The hopeful rate over the common one. Of two members the one that brings nothing is then asked about every fifteenth
time; at 1 it might never be asked again, at 1.5 it is asked every fourth time."""
STARTS = 2
"""Trainings that each member may start before rates are compared."""


class Turns:
    """The record of who brought what, read off the outcomes; a replayed state therefore gives the same turns."""

    def __init__(self, organization: Organization, state: OrgState) -> None:
        self._by_gain = organization.turns == "by-gain"
        self._state = state
        self._gain = {member.name: 0.0 for member in organization.of_kind("proposer")}
        self._seconds = dict.fromkeys(self._gain, 0.0)
        self._trainings = 0.0
        self._read = 0

    def first(self, able: Sequence[Member]) -> Member:
        """Who of those that are able is asked; ties go to whoever was asked least."""
        asked = self._state.decisions
        if not self._by_gain:
            return min(able, key=lambda member: asked[member.name])
        self._catch_up()
        fresh = [member for member in able if asked[member.name] < STARTS]
        if fresh or not self._trainings:
            return min(fresh or able, key=lambda member: asked[member.name])
        return max(able, key=lambda member: (self._rate(member.name), -asked[member.name]))

    def _catch_up(self) -> None:
        outcomes = self._state.outcomes
        for outcome in outcomes[self._read :]:
            if outcome.author in self._gain and outcome.purpose == "candidate":
                self._note(outcome)
        self._read = len(outcomes)

    def _note(self, outcome: Outcome) -> None:
        for record in (self._gain, self._seconds):
            for name in record:
                record[name] *= FADE
        self._trainings = FADE * self._trainings + 1.0
        self._gain[outcome.author] += max(0.0, -(outcome.delta or 0.0))
        self._seconds[outcome.author] += outcome.seconds

    def _rate(self, name: str) -> float:
        """bpb per second, drawn to the hopeful rate."""
        seconds = math.fsum(self._seconds.values())
        if not seconds:
            return 0.0
        hopeful, granted = HOPE * math.fsum(self._gain.values()) / seconds, PRIOR * seconds / self._trainings
        return (self._gain[name] + hopeful * granted) / (self._seconds[name] + granted)
