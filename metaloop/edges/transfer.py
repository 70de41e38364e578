"""Carries a run's trunks to a larger preset: trains what is missing there, and says what became of each change."""

from __future__ import annotations

from pathlib import Path

import msgspec

from metaloop.actors.state import replay
from metaloop.edges import session
from metaloop.edges.device_groups import check_group
from metaloop.edges.means import Means
from metaloop.edges.progress import Progress
from metaloop.execution.org_run import has_ended
from metaloop.files import journal
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, RunTerms, read_json, read_lines, write_json
from metaloop.meta.confirmation import Confirmer, trunk_history
from metaloop.meta.confirmed import Scores, trunk_merges
from metaloop.meta.transfer import Transfer, markdown, transfer_seed, transferred
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import UsageError

REAL_TRAINERS = {"nanogpt": "nanogpt", "surrogate": "nanogpt"}
"""Trainer of a run to the one that trains its trunks for real; a surrogate's knobs are those of what it stands for."""


class TransferTerms(msgspec.Struct, frozen=True):
    """What a transfer's folder holds: of which run, and the run's terms as they are at the larger preset."""

    source: str
    small_preset: str
    large: RunTerms


class TransferResults(msgspec.Struct, frozen=True):
    """What ``transfer.json`` holds and ``--json`` prints."""

    terms: TransferTerms
    trunks: tuple[Transfer, ...]


def terms_of(source: RunFolder, preset: str, changed: dict[str, object]) -> TransferTerms:
    """The source's terms at ``preset``; of ``changed``, what is ``None`` stays.

    Raises:
        UsageError: the source's changes mean nothing at another preset, or may not be its last; or its trainings had
            several devices each, and these are no multiple of them.
    """
    small = source.read_terms()
    if not all(has_ended(source.org_run(n, s)) for n in small.organizations for s in small.org_run_seeds):
        raise UsageError(f"{source.path} is not finished. End it with `metaloop resume {source.path}`.")
    if small.trainer not in REAL_TRAINERS:
        raise UsageError(
            f"{source.path} was run with --trainer {small.trainer}, which has one size only. Transfer a run of "
            f"{' or '.join(REAL_TRAINERS)}."
        )
    given = {name: value for name, value in changed.items() if value is not None}
    large = msgspec.structs.replace(
        small, trainer=REAL_TRAINERS[small.trainer], preset=preset, backend="ray", cluster={}, **given
    )
    check_group(large.devices, large.devices_per_experiment, large.devices_per_gpu, simulated="")
    session.target_of(large)
    return TransferTerms(str(source.path), small.preset, large)


class Transferring:
    """A transfer in its folder ``out``: what stands there already is not trained again."""

    def __init__(self, source: RunFolder, out: Path, terms: TransferTerms) -> None:
        self._source = source
        self._out = RunFolder(out)
        self.terms = terms
        self.file = out / "transfer-terms.json"
        if self.file.exists():
            known = read_json(self.file, TransferTerms)
            same = (known.source, known.large.preset, known.large.data) == (
                terms.source,
                terms.large.preset,
                terms.large.data,
            )
            if not same:
                raise UsageError(
                    f"{out} holds a transfer of {known.source} to {known.large.preset} on {known.large.data}. "
                    "Name another --out."
                )
        write_json(self.file, terms)

    @property
    def org_runs(self) -> list[tuple[str, int]]:
        """The org runs whose trunk has moved: the others have nothing to transfer."""
        large = self.terms.large
        pairs = [(name, seed) for seed in large.org_run_seeds for name in large.organizations]
        return [pair for pair in pairs if trunk_merges(self._events(*pair))]

    def train(self, address: str | None, progress: Progress) -> None:
        """Train what is missing: every trunk commit on every pair."""
        large = self.terms.large
        places = [self._out.org_run(name, seed) for name, seed in self.org_runs]
        known = [c for place in places for c in read_lines(place.confirmations, Confirmation)]
        means = Means(address, 0.0, as_json=False, track=False)
        with session.open_backend(large, means, progress) as backend:
            confirmer = Confirmer(backend, large.confirm_pairs, known, large.devices_per_experiment)
            for name, seed in self.org_runs:
                events = self._events(name, seed)
                trunk = trunk_history(events, replay(events).root)
                place: OrgRunFolder = self._out.org_run(name, seed)
                with progress.confirmation(name, seed) as on_progress:
                    confirmer.confirm(place, transfer_seed(seed, large.preset), trunk, on_progress)

    def conclude(self) -> TransferResults:
        """Say what became of the changes; written to ``transfer.json`` and ``transfer.md``."""
        trunks = tuple(self._transferred(name, seed) for name, seed in self.org_runs)
        results = TransferResults(self.terms, trunks)
        write_json(self._out.path / "transfer.json", results)
        (self._out.path / "transfer.md").write_text(markdown(trunks))
        return results

    def _transferred(self, name: str, seed: int) -> Transfer:
        small = Scores(read_lines(self._source.org_run(name, seed).confirmations, Confirmation))
        large = Scores(read_lines(self._out.org_run(name, seed).confirmations, Confirmation))
        sizes = (self.terms.small_preset, self.terms.large.preset)
        return transferred((name, seed, *sizes), self._events(name, seed), small, large)

    def _events(self, name: str, seed: int) -> list[ev.Event]:
        file = self._source.org_run(name, seed).journal
        return journal.read(file) if file.exists() else []
