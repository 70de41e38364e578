"""Where merged gains came from: every idea of an org run, who took it up, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from metaloop.files import journal
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, read_lines
from metaloop.meta.confirmed import Scores, confirm_merges
from metaloop.meta.results import ConfirmedMerge, IdeaFate
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.records import Idea


def ideas_of_run(path: Path) -> list[IdeaFate]:
    """The ideas of all org runs in a run's folder, in the order in which they came.

    Raises:
        FileError: it is no run's folder, or one of its files is damaged.
        UsageError: no org run has begun.
    """
    folder = RunFolder(path)
    terms = folder.read_terms()
    places = [folder.org_run(name, seed) for name in terms.organizations for seed in terms.org_run_seeds]
    begun = [place for place in places if place.journal.exists()]
    if not begun:
        raise UsageError(f"no org run in {path} has begun, so that there are no ideas yet.")
    return [fate for place in begun for fate in _ideas_in(place)]


def _ideas_in(place: OrgRunFolder) -> list[IdeaFate]:
    events = journal.read(place.journal)
    return fates(events, confirm_merges(events, Scores(read_lines(place.confirmations, Confirmation))))


def fates(events: Sequence[ev.Event], merges: Sequence[ConfirmedMerge]) -> list[IdeaFate]:
    """What became of every idea that entered the research queue; ``merges`` are those on trunk, confirmed."""
    started = next(event for event in events if isinstance(event, ev.RunStarted))
    tale = _Tale(events, merges)
    added = (event.idea for event in events if isinstance(event, ev.IdeaAdded))
    return [tale.of(idea, started.organization, started.seed) for idea in added]


class _Tale:
    """A journal, looked up by proposal."""

    def __init__(self, events: Sequence[ev.Event], merges: Sequence[ConfirmedMerge]) -> None:
        self._proposals = {e.proposal.id: e.proposal for e in events if isinstance(e, ev.Proposed)}
        self._experiments = [e.experiment for e in events if isinstance(e, ev.Queued)]
        self._rejected = {e.proposal for e in events if isinstance(e, ev.Rejected)}
        self._deltas: dict[str, float | None] = {}
        for event in events:
            if isinstance(event, ev.Judged):
                self._deltas.setdefault(event.proposal, event.delta)
        self._merges = {merge.proposal: merge for merge in merges}
        self._branches = {e.proposal: e.branch for e in events if isinstance(e, ev.Merged)}

    def of(self, idea: Idea, organization: str, seed: int) -> IdeaFate:
        own = tuple(name for name, proposal in self._proposals.items() if proposal.idea == idea.id)
        kin = self._kin(own)
        merged = next((name for name in kin if name in self._merges), None)
        fate = IdeaFate(
            organization=organization,
            seed=seed,
            idea=idea.id,
            text=idea.text,
            source=idea.source,
            link=idea.link,
            changes=idea.changes,
            status=self._status(own, kin),
            proposals=own,
            experiments=tuple(e.id for e in self._experiments if e.proposal in kin),
        )
        if merged is None:
            deltas = [self._deltas[name] for name in kin if self._deltas.get(name) is not None]
            return msgspec.structs.replace(fate, delta=deltas[0] if deltas else None)
        return self._with_merge(fate, self._merges[merged])

    def _kin(self, own: Sequence[str]) -> list[str]:
        """The proposals and all that grew out of them, in the order in which they were made."""
        found = set(own)
        for name, proposal in self._proposals.items():
            if found.intersection(proposal.parts):
                found.add(name)
        return [name for name in self._proposals if name in found]

    def _status(self, own: Sequence[str], kin: Sequence[str]) -> str:
        if any(name in self._merges for name in kin):
            return "merged"
        if any(name in self._branches for name in kin):
            return "merged to a feature branch"
        trained = any(e.proposal in kin for e in self._experiments)
        if trained:
            return "tried"
        return ("turned down" if all(name in self._rejected for name in own) else "taken up") if own else "waiting"

    def _with_merge(self, fate: IdeaFate, merge: ConfirmedMerge) -> IdeaFate:
        proposal = self._proposals[merge.proposal]
        return msgspec.structs.replace(
            fate,
            merge=merge.commit,
            proposal=merge.proposal,
            delta=merge.delta,
            repeats=merge.repeats,
            confirmed_delta=merge.confirmed_delta,
            confirmed_ci95=merge.confirmed_ci95,
            pairs=merge.pairs,
            shared=proposal.purpose in ("combination", "integration"),
        )
