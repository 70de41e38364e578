"""When scouts are asked, and what becomes of what they found."""

from __future__ import annotations

from metaloop.actors.run_context import Asked, RunContext
from metaloop.brains.scout.sameness import fresh_ideas
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.decisions import Decision, Found
from metaloop.vocabulary.organization import Member


def ask_scouts(run: RunContext, now: float) -> None:
    """Ask every scout whose time has come and that finds the queue low."""
    for scout in run.of_kind("scout"):
        if run.free(scout) and _is_due(run, scout):
            run.ask(scout, "scout", now, ideas=tuple(run.state.all_ideas.values()))


def _is_due(run: RunContext, scout: Member) -> bool:
    last = run.state.scouted_at.get(scout.name)
    due = last is None or run.state.finished - last >= _whole(scout, "every")
    return due and len(run.state.ideas) < _whole(scout, "most_open")


def _whole(scout: Member, name: str) -> int:
    value = scout.policy[name]
    assert isinstance(value, int)
    return value


def take_found(run: RunContext, asked: Asked, decision: Decision, now: float) -> None:
    """Put what is new into the research queue; another scout may have found the same meanwhile."""
    assert isinstance(decision, Found)
    fresh = fresh_ideas(run.state.all_ideas.values(), decision.ideas)
    run.record(ev.Scouted(now, asked.member.name, len(fresh), decision.note, decision.cost))
    for idea in fresh:
        run.record(ev.IdeaAdded(now, idea))
