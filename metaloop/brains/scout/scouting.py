"""The scout: it looks into its sources, one search after the other, and brings home what the queue does not hold yet.

It is scripted: it searches, checks, deduplicates, and takes ``changes`` only where a text names knobs and values
plainly. In simulated time it reads folders and nothing else: what the network says today is in no seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from metaloop.brains.brain import Policy
from metaloop.brains.scout.cache import Cache
from metaloop.brains.scout.fetch import Fetcher
from metaloop.brains.scout.hints import named_in, spelled_out
from metaloop.brains.scout.hits import READERS, Hit, parameters
from metaloop.brains.scout.notes import Note, read_notes
from metaloop.brains.scout.sameness import BETWEEN, fresh_ideas, same_link
from metaloop.vocabulary.clock import WallClock
from metaloop.vocabulary.decisions import Found, Observation
from metaloop.vocabulary.errors import SourceError
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Cost, Idea
from metaloop.vocabulary.sources import ScoutTerms, Source
from metaloop.vocabulary.space import Space

SEARCHED = ("arxiv", "github")
"""Kinds of sources that search themselves; in the others the scout looks for the words."""
MOST_REMARK = 300


class Scout:
    """One scout with its sources."""

    def __init__(self, member: Member, space: Space, terms: ScoutTerms) -> None:
        policy = Policy(member)
        wanted = policy.names("sources")
        self._most = policy.whole("most_new")
        self._queries = policy.names("queries")
        self._sources = [source for source in terms.sources if not wanted or source.name in wanted]
        self._live = terms.live
        self._space = space
        self._fetcher = Fetcher(Cache(terms.cache))

    def decide(self, observation: Observation) -> Found:
        clock = WallClock()
        remarks: list[str] = []
        lanes = [list(self._look(source, remarks)) for source in self._sources]
        turns = [idea for round_ in zip_longest(*lanes) for idea in round_ if idea is not None]
        fresh = fresh_ideas(observation.ideas, turns)
        fresh.sort(key=lambda idea: not idea.changes)  # a stable sort: those that anybody can try come first
        asked = self._live and any(source.kind != "folder" for source in self._sources)
        seconds = clock.now() if asked else 0.0
        note = "; ".join(remarks) if self._sources else "there are no sources to look in"
        return Found(tuple(fresh[: self._most]), note[:MOST_REMARK], Cost(seconds))

    def _look(self, source: Source, remarks: list[str]) -> Iterator[Idea]:
        """All that a source has to say, the hits of its searches in turn."""
        if source.kind != "folder" and not self._live:
            remarks.append(f"{source.name}: not asked in simulated time")
            return
        try:
            for note in self._found(source, remarks):
                yield self._idea(source, note)
        except SourceError as error:
            remarks.append(f"{source.name}: {error}")

    def _found(self, source: Source, remarks: list[str]) -> Iterator[Note]:
        if source.kind == "folder":
            folder = read_notes(Path(source.address))
            if folder.remark:
                remarks.append(f"{source.name}: {folder.remark}")
            yield from (note for note in folder.notes if self._wanted(note.hit))
        elif source.kind in SEARCHED:
            if not self._queries:
                remarks.append(f"{source.name}: not asked, as no queries are set")
            for turn in zip_longest(*self._searches(source, remarks)):
                yield from (Note(found, {}) for found in turn if found is not None)
        else:
            hits = self._ask(source, "", remarks)
            yield from [Note(found, {}) for found in hits if self._wanted(found)][: source.most]

    def _searches(self, source: Source, remarks: list[str]) -> list[Sequence[Hit]]:
        """The hits of every query, until the source fails: whoever is down or limited is not asked on."""
        searches: list[Sequence[Hit]] = []
        for query in self._queries:
            try:
                searches.append(self._ask(source, query, remarks))
            except SourceError as error:
                remarks.append(f"{source.name}: {error}")
                break
        return searches

    def _ask(self, source: Source, query: str, remarks: list[str]) -> Sequence[Hit]:
        reply = self._fetcher.get(source, parameters(source.kind, query, source.most))
        if reply.note:
            remarks.append(f"{source.name}: {reply.note}")
        return READERS[source.kind](reply.body)

    def _wanted(self, found: Hit) -> bool:
        """Whether all words of one of the queries occur in it."""
        text = f"{found.title} {found.text} {found.raw}".casefold()
        return not self._queries or any(all(w in text for w in q.casefold().split()) for q in self._queries)

    def _idea(self, source: Source, note: Note) -> Idea:
        found = note.hit
        text = f"{found.title}{BETWEEN}{found.text}" if found.text else found.title
        changes = spelled_out(note.changes, self._space) if note.changes else named_in(found.raw, self._space)
        mark = same_link(found.link) if found.link else found.title.casefold()
        return Idea(f"s-{hashlib.sha256(mark.encode()).hexdigest()[:10]}", text, source.name, changes, found.link)
