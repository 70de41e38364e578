"""Which proposals the controller looks at next, so that no message costs a look at all of them.

To look at a proposal that has nothing to do changes nothing. So these may name too many, but never too few, and
looks go from old proposals to young ones, as if all had been looked at.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from metaloop.vocabulary import events as ev

if TYPE_CHECKING:
    from metaloop.actors.state import OrgState


class Visits:
    """Numbers to look at, each once, in ascending order; what is added behind the last one is left out."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._heap = list(numbers)
        heapq.heapify(self._heap)
        self._last = -1

    def add(self, number: int) -> None:
        heapq.heappush(self._heap, number)

    def pop(self) -> int | None:
        """The next number, ``None`` when there is none."""
        while self._heap:
            number = heapq.heappop(self._heap)
            if number > self._last:
                self._last = number
                return number
        return None


class Line:
    """Numbers in a waiting line, lowest first. Nobody says when one leaves: it is skipped when its turn comes."""

    def __init__(self) -> None:
        self._heap: list[int] = []
        self._in: set[int] = set()

    def add(self, number: int) -> None:
        """Stand in line, once."""
        if number not in self._in:
            self._in.add(number)
            heapq.heappush(self._heap, number)

    def first(self, waits: Callable[[int], bool]) -> int | None:
        """The lowest number that still waits."""
        heap = self._heap
        while heap:
            if waits(heap[0]):
                return heap[0]
            self._in.discard(heapq.heappop(heap))
        return None


class Agenda:
    """Proposals that something happened to since they were looked at last, and branches whose head is not the same.

    Filled from the events that the controller records; a controller that begins looks at everything.
    """

    def __init__(self, state: OrgState) -> None:
        self._state = state
        self.generation = 0
        """Grows when everything is to be looked at afresh: what anyone remembers of an earlier look is void."""
        self.reviews: set[int] = set()
        self.verdicts: set[int] = set()
        self.moved: set[str] = set()
        """Branches whose head moved or was trained."""
        self.everything()

    def everything(self) -> None:
        """Look at all that is open."""
        self.generation += 1
        self.reviews.update(self._state.in_review)
        self.verdicts.update(self._state.judging)

    def note(self, event: ev.Event) -> None:
        """Take in what was just applied to the state."""
        rule = _RULES.get(type(event))
        if rule is not None:
            rule(self, event)

    def _touch(self, proposal: str) -> None:
        """The proposal changed, and with it perhaps those that it combines."""
        entry = self._state.proposals[proposal]
        judging = self._state.judging
        if entry.number in judging:
            self.verdicts.add(entry.number)
        for part in entry.proposal.parts:
            number = self._state.proposals[part].number
            if number in judging:
                self.verdicts.add(number)

    def proposed(self, event: ev.Proposed) -> None:
        self.reviews.add(self._state.proposals[event.proposal.id].number)
        self._touch(event.proposal.id)

    def reviewed(self, event: ev.Reviewed) -> None:
        self.reviews.add(self._state.proposals[event.proposal].number)

    def refused(self, event: ev.Refused) -> None:
        if event.proposal is not None:
            self.reviews.add(self._state.proposals[event.proposal].number)
            self._touch(event.proposal)

    def decided(self, event: ev.Rejected | ev.Judged) -> None:
        self._touch(event.proposal)

    def merged(self, event: ev.Merged) -> None:
        self.moved.add(event.branch)
        self._touch(event.proposal)

    def reset(self, event: ev.BranchReset) -> None:
        self.moved.add(event.branch)

    def trained(self, event: ev.Finished | ev.Dropped) -> None:
        entry = self._state.experiments[event.experiment]
        if entry.experiment.proposal is not None:
            self._touch(entry.experiment.proposal)
        for branch in self._state.branches.values():
            if branch.key == entry.key:
                self.moved.add(branch.name)


_RULES: dict[type, Callable[[Agenda, Any], None]] = {
    ev.Proposed: Agenda.proposed,
    ev.Reviewed: Agenda.reviewed,
    ev.Refused: Agenda.refused,
    ev.Rejected: Agenda.decided,
    ev.Judged: Agenda.decided,
    ev.Merged: Agenda.merged,
    ev.BranchReset: Agenda.reset,
    ev.Finished: Agenda.trained,
    ev.Dropped: Agenda.trained,
}
