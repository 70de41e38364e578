"""Confirmation: after an org run the harness retrains its trunk on fresh seeds and scores it on unseen data.

The organization has no part in it (invariant 8): the seeds come from a stream that no member can name, and the
scores from splits that no member's experiment is scored on. Every trunk commit, the baseline among them, is
trained on the same seeds, so that their differences are paired; all organizations of a run share the seeds of an
org-run seed, and with them the baseline's trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from metaloop.execution.backend import Backend
from metaloop.files.run_folder import Confirmation, OrgRunFolder, append_line, read_lines
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.code import texts_of
from metaloop.vocabulary.records import TRUNK, Config, FinalState, TrainingRequest, TrainingResult, digest
from metaloop.vocabulary.seeds import confirmation_seed

UNSEEN = ("holdout", "confirm")
"""Splits that only the harness scores: ``holdout`` steers the meta-loop, ``confirm`` is what is reported."""

Key = tuple[str, int]
"""(configuration digest, training seed)"""


class Trunk(NamedTuple):
    """Commits with their configurations, oldest first, the baseline leading; ``sources`` are the texts of changed
    files by digest."""

    commits: list[tuple[str, Config]]
    sources: Mapping[str, str] = MappingProxyType({})

    def ends(self) -> Trunk:
        """The baseline and the last commit alone."""
        return Trunk([self.commits[0], *self.commits[1:][-1:]], self.sources)


@dataclass(frozen=True)
class _Due:
    commit: str
    config: Config
    pair: int
    seed: int

    @property
    def key(self) -> Key:
        return digest(self.config), self.seed


class Confirmer:
    """Confirms org runs on a backend; knows what was trained already, and never pays for it again.

    ``devices`` share each training.
    """

    def __init__(self, backend: Backend, pairs: int, known: Iterable[Confirmation], devices: int) -> None:
        self._backend = backend
        self._pairs = pairs
        self._devices = devices
        self._known: dict[Key, Confirmation] = {(digest(c.config), c.seed): c for c in known}

    def confirm(
        self,
        folder: OrgRunFolder,
        seed: int,
        trunk: Trunk,
        on_progress: Callable[[int, int], None],
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Train what is missing for ``trunk`` and append the results; ``without`` are devices not to train on.

        ``on_progress`` is called with how many trainings are done and how many there are.
        """
        done = {(c.commit, c.pair) for c in read_lines(folder.confirmations, Confirmation)}
        due = [
            _Due(commit, config, pair, confirmation_seed(seed, pair))
            for pair in range(self._pairs)
            for commit, config in trunk.commits
            if (commit, pair) not in done
        ]
        fresh = list({d.key: d for d in due if d.key not in self._known}.values())
        for item in due:
            if item.key in self._known:
                known = self._known[item.key]
                self._write(folder, item, known.state, known.bpb, seconds=0.0)
        requests = [
            TrainingRequest(d.config, d.seed, score_on=UNSEEN, code=texts_of(d.config, trunk.sources)) for d in fresh
        ]
        finished = 0

        def take(index: int, result: TrainingResult) -> None:
            nonlocal finished
            finished += 1
            key = fresh[index].key
            scores = dict(result.bpb) if result.state == "ok" else {}
            device_seconds = self._devices * result.seconds
            for copy, item in enumerate(d for d in due if d.key == key):
                self._write(folder, item, result.state, scores, seconds=0.0 if copy else device_seconds)
            on_progress(finished, len(fresh))

        if requests:
            self._backend.train_all(requests, take, without)

    def _write(
        self, folder: OrgRunFolder, item: _Due, state: FinalState, scores: dict[str, float], seconds: float
    ) -> None:
        """Append one result; what was trained for another commit or organization costs nothing here."""
        own = Confirmation(item.commit, item.config, item.pair, item.seed, state, scores, seconds)
        self._known.setdefault(item.key, own)
        append_line(folder.confirmations, own)


def trunk_history(events: Iterable[ev.Event], root: str) -> Trunk:
    """Every commit that trunk has been at."""
    events = list(events)
    merged = [(e.commit, e.config) for e in events if isinstance(e, ev.Merged) and e.branch == TRUNK]
    sources = {e.digest: e.text for e in reversed(events) if isinstance(e, ev.SourceWritten)}
    return Trunk([(root, {}), *merged], sources)
