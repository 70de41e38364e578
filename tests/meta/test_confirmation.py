"""Confirmation trains each configuration and seed once, whoever asks, and only what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from metaloop.files.run_folder import Confirmation, OrgRunFolder, read_lines
from metaloop.meta.confirmation import UNSEEN, Confirmer, Trunk
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import confirmation_seed
from tests.driver import score

TRUNK = [("root", {}), ("c1", {"lr": 0.01}), ("c2", {})]
"""The last commit takes the change back: the baseline's configuration under another name."""


class Counting:
    """Trains by the formula, in order, and remembers what it was asked for."""

    name = "counting"
    devices = ("d0",)

    def __init__(self) -> None:
        self.asked: list[TrainingRequest] = []

    def train_all(
        self,
        requests: Sequence[TrainingRequest],
        on_result: Callable[[int, TrainingResult], None],
        without: frozenset[str] = frozenset(),
    ) -> None:
        for index, request in enumerate(requests):
            self.asked.append(request)
            on_result(index, score(request))


def confirm(backend: Counting, folder: OrgRunFolder, known: list[Confirmation], devices: int = 1) -> list[Confirmation]:
    Confirmer(backend, 2, known, devices).confirm(folder, 3, Trunk(TRUNK), lambda *_: None)  # type: ignore[arg-type]
    return read_lines(folder.confirmations, Confirmation)


def test_every_commit_is_scored_on_the_same_fresh_seeds_and_paid_once(tmp_path: Path) -> None:
    backend = Counting()
    written = confirm(backend, OrgRunFolder(tmp_path / "a"), [])
    assert {(c.commit, c.pair) for c in written} == {(name, pair) for name, _ in TRUNK for pair in (0, 1)}
    assert {(c.pair, c.seed) for c in written} == {(pair, confirmation_seed(3, pair)) for pair in (0, 1)}
    assert len(backend.asked) == 4
    assert {request.score_on for request in backend.asked} == {UNSEEN}
    assert sum(c.seconds for c in written) == sum(score(request).seconds for request in backend.asked)


def test_all_devices_of_a_training_are_paid_for(tmp_path: Path) -> None:
    alone = confirm(Counting(), OrgRunFolder(tmp_path / "a"), [])
    together = confirm(Counting(), OrgRunFolder(tmp_path / "b"), [], devices=4)
    assert [c.seconds for c in together] == [4 * c.seconds for c in alone]


def test_another_organization_shares_the_baseline_and_pays_nothing_for_it(tmp_path: Path) -> None:
    first = confirm(Counting(), OrgRunFolder(tmp_path / "a"), [])
    backend = Counting()
    second = confirm(backend, OrgRunFolder(tmp_path / "b"), first)
    assert backend.asked == []
    assert sum(c.seconds for c in second) == 0.0
    assert [(c.commit, c.pair, c.bpb) for c in sorted(second, key=lambda c: (c.pair, c.commit))] == [
        (c.commit, c.pair, c.bpb) for c in sorted(first, key=lambda c: (c.pair, c.commit))
    ]


def test_what_a_killed_confirmation_finished_is_not_trained_again(tmp_path: Path) -> None:
    folder = OrgRunFolder(tmp_path / "a")
    whole = confirm(Counting(), folder, [])
    lines = folder.confirmations.read_bytes().splitlines(keepends=True)
    folder.confirmations.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    kept = read_lines(folder.confirmations, Confirmation)
    assert kept == whole[:3]
    backend = Counting()
    again = confirm(backend, folder, kept)
    assert again[:3] == kept
    assert {(c.commit, c.pair): c.bpb for c in again} == {(c.commit, c.pair): c.bpb for c in whole}
    assert len(again) == len(whole)
    assert len(backend.asked) < 4
