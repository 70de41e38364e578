"""The candidates that wait for a verdict, in lines before their mergers.

A candidate that is trained, and whose head is, has nothing to do but wait for its turn. Candidates that wait for the
same thing (the same branch, trained as often, the same mergers) stand in one line, and only its first is looked at:
ten thousand devices may finish long before one merger has judged.
"""

from __future__ import annotations

from typing import NamedTuple

from metaloop.actors import judging
from metaloop.actors.agenda import Line, Visits
from metaloop.actors.entries import ProposalState
from metaloop.actors.run_context import RunContext


class Wait(NamedTuple):
    """What the candidates of a line wait for."""

    branch: str
    wanted: int
    mergers: frozenset[str]


class Bench:
    """Looks at every candidate that something happened to, and at the first of every line that could be judged."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._lines: dict[Wait, Line] = {}
        self._waits: dict[int, Wait] = {}
        self._parked: dict[str, set[int]] = {}
        """Head to the candidates that wait for nothing but its first score: at the start, all of them."""
        self._exhausted = False

    def pump(self, now: float, exhausted: bool) -> None:
        """Ask for what judging lacks, and put what is ready before a merger."""
        run, agenda = self._run, self._run.agenda
        if exhausted and not self._exhausted:
            self._exhausted = True
            agenda.everything()
        if self._parked:
            self._leave_parking()
        if agenda.verdicts or agenda.moved or self._lines:
            self._look(now, exhausted)
        if exhausted:
            judging.close_held(run, now)

    def _leave_parking(self) -> None:
        """Back on the agenda, once their head has its score, or is the head no longer, or the budget is spent."""
        run = self._run
        for head in [h for h in self._parked if run.agenda.moved or self._exhausted or judging.trained(run, h, 0)]:
            run.agenda.verdicts.update(self._parked.pop(head))

    def _look(self, now: float, exhausted: bool) -> None:
        run, agenda = self._run, self._run.agenda
        visits = Visits(agenda.verdicts)
        agenda.verdicts.clear()
        if agenda.moved:
            self._look_at_moved(visits)
        for wait in list(self._lines):
            self._call(wait, visits)
        while (number := visits.pop()) is not None:
            if number in run.state.judging:
                judging.advance(run, run.state.numbered[number], now, exhausted)
            self._seat(number, visits)
            if agenda.moved:
                self._moved_under_way(number, visits)

    def _call(self, wait: Wait, visits: Visits) -> None:
        """Name the first of a line, if its branch is not being judged and one of its mergers is free."""
        run = self._run
        if wait.branch in run.judged or run.asked.keys() >= wait.mergers:
            return
        judged, waits = run.state.judging, self._waits
        first = self._lines[wait].first(lambda n: n in judged and waits.get(n) == wait)
        if first is None:
            del self._lines[wait]
        else:
            visits.add(first)

    def _seat(self, number: int, visits: Visits) -> None:
        """After a look: back in line, or on the agenda where it cannot stand in one; its line's next has a turn."""
        run = self._run
        before = self._waits.get(number)
        state = run.state.numbered[number]
        if number not in run.state.judging:
            self._waits.pop(number, None)
        elif not self._plain(state):
            self._waits.pop(number, None)
            self._put_aside(number, state)
        else:
            mergers = frozenset([m.name for m in judging.mergers(run, state.proposal)])
            wait = Wait(state.proposal.branch, state.wanted, mergers)
            self._waits[number] = wait
            self._lines.setdefault(wait, Line()).add(number)
        if before is not None and before in self._lines and self._waits.get(number) != before:
            self._call(before, visits)

    def _put_aside(self, number: int, state: ProposalState) -> None:
        """Where a candidate waits that cannot stand in line: parked, or on the agenda of every message."""
        run = self._run
        head, known = run.state.branches[state.proposal.branch].key, run.state
        on_head = known.commits[state.proposal.base] == head
        measured = state.wanted == 1 and 0 in known.scores.get(state.key, {})
        if on_head and measured and not self._exhausted and (head, 0) in known.asked_for:
            self._parked.setdefault(head, set()).add(number)
        else:
            run.agenda.verdicts.add(number)

    def _plain(self, state: ProposalState) -> bool:
        """Whether only the head and the mergers can make a difference to it: it and its base have their scores."""
        known = self._run.state
        own = known.scores.get(state.key, {})
        base = known.scores.get(known.commits[state.proposal.base], {})
        if 0 not in own or 0 not in base:
            return False
        return (
            self._exhausted
            or state.wanted == 1
            or all(judging.trained(self._run, state.key, r) for r in range(state.wanted))
        )

    def _look_at_moved(self, visits: Visits) -> None:
        """A new head on which all wanted repeats are known changes nothing for those who stand in line."""
        run = self._run
        for name in run.agenda.moved:
            lines = [wait for wait in self._lines if wait.branch == name]
            head = run.state.branches[name].key
            repeats = range(max((wait.wanted for wait in lines), default=0))
            if any((head, r) in run.state.failures for r in repeats) or (self._exhausted and not _scored(run, head)):
                for number in self._standing(name):
                    visits.add(number)
            elif not all(judging.trained(run, head, r) for r in repeats):
                for wait in lines:
                    self._call_blocked(wait, visits)
        run.agenda.moved.clear()

    def _call_blocked(self, wait: Wait, visits: Visits) -> None:
        """The first of a line asks for its head's training; the others would find it asked for."""
        judged, waits = self._run.state.judging, self._waits
        first = self._lines[wait].first(lambda n: n in judged and waits.get(n) == wait)
        if first is not None:
            visits.add(first)

    def _moved_under_way(self, number: int, visits: Visits) -> None:
        """A branch moved while the bench was looked at: who comes later sees it now, who came before next time."""
        for name in self._run.agenda.moved:
            for other in self._standing(name):
                if other > number:
                    visits.add(other)
                else:
                    self._run.agenda.verdicts.add(other)
        self._run.agenda.moved.clear()

    def _standing(self, branch: str) -> list[int]:
        return [number for number, wait in self._waits.items() if wait.branch == branch]


def _scored(run: RunContext, key: str) -> bool:
    return 0 in run.state.scores.get(key, {})
