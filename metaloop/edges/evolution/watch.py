"""What a person sees of an evolution: births, looks at races, how they end. Always on standard error."""

from __future__ import annotations

from metaloop.edges.progress import Progress
from metaloop.meta.evolution.terms import Born, RaceRecord
from metaloop.meta.racing.race import RaceState, verdict
from metaloop.meta.racing.terms import Standing

SHOWN = 4
"""Standings in the line of a look."""


class ProgressWatcher:
    """One line for everything that happens."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told: dict[str, int] = {}

    def stage(self, text: str) -> None:
        """Something begins."""
        self._progress.say(text)

    def born(self, born: Born) -> None:
        """Who was born, of whom, and what is different."""
        if born.parent:
            self._progress.say(f"  {born.name} of {born.parent} by {born.operator}: {born.change}")

    def look(self, stage: str, state: RaceState) -> None:
        """A look, whenever the blocks have doubled or somebody left."""
        left = len(state.left)
        if self._told.get(stage) == left and state.blocks & (state.blocks - 1):
            return
        self._told[stage] = left
        best = verdict(state).standings[:SHOWN]
        self._progress.say(f"  after {state.blocks} seeds: {'; '.join(map(_shown, best))}")

    def raced(self, record: RaceRecord) -> None:
        """How a race ended."""
        ended = record.verdict
        same = record.winner == record.champion
        how = f"{record.winner} stays champion" if same else f"{record.winner} is the new champion"
        self._progress.say(f"  {how} ({ended.ended} after {ended.blocks} seeds, {ended.org_runs} org runs)")
        if ended.suspect:
            self._progress.say(f"  WARNING: {', '.join(ended.suspect)} differ from the champion: they are its twins")


def _shown(standing: Standing) -> str:
    if standing.difference is None:
        return f"{standing.name} without a score"
    out = f", {standing.left.cause}" if standing.left else ""
    return f"{standing.name} {standing.difference:+.4f} (e {standing.e_value:.2g}{out})"
