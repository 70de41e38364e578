"""What earlier org runs found, handed to an organization at its start."""

from __future__ import annotations

from collections.abc import Iterable

from metaloop.actors.run_context import RunContext
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.records import Idea

MOST_TRIED = 6
"""Wins that are put into the research queue: each costs a training."""


def hand_out(run: RunContext, now: float) -> None:
    """Tell what the run was given, if the organization wants to know: all of it to its members, and what was confirmed
    as ideas, which proposers try first."""
    lessons = run.lessons
    if not lessons:
        return
    run.record(ev.LessonsGiven(now, lessons))
    for idea in proven_ideas(lessons):
        run.record(ev.IdeaAdded(now, idea))


def proven_ideas(lessons: Iterable[Lesson]) -> list[Idea]:
    """The wins as ideas: whole trunks before single merges, which they hold already; the most gained first."""
    wins = [lesson for lesson in lessons if lesson.kind == "win" and lesson.delta is not None]
    wins.sort(key=lambda win: (not win.whole, win.delta))
    return [_idea(win) for win in wins[:MOST_TRIED]]


def _idea(win: Lesson) -> Idea:
    what = "a whole trunk" if win.whole else "a merge"
    text = f"{what} of an earlier org run: confirmed {win.delta:+.4f} bpb, n = {win.n}"
    return Idea(f"l-{win.id}", text, f"lesson: {win.source}", win.changes, proven=True)
