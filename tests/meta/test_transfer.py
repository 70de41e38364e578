"""Scale transfer: what a change's two intervals say, and that each is the change's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloop.files import journal
from metaloop.files.run_folder import Confirmation, read_lines
from metaloop.meta.confirmed import Scores, trunk_merges
from metaloop.meta.transfer import Effect, fate_of, markdown, transfer_seed, transferred
from metaloop.vocabulary.seeds import confirmation_seed
from tests.meta.synthetic_run import PROFILES, write_run

SMALL = Effect(-0.02, (-0.03, -0.01), 4)


@pytest.mark.parametrize(
    ("large", "fate"),
    [
        (Effect(-0.03, (-0.04, -0.02), 4), "survives"),
        (Effect(0.03, (0.02, 0.04), 4), "hurts"),
        (Effect(0.0, (-0.005, 0.005), 4), "fades"),
        (Effect(0.0, (-0.05, 0.05), 4), "undecided"),
        (Effect(-0.02, None, 1), "undecided"),
        (Effect(None, None, 0), "failed"),
    ],
)
def test_fates(large: Effect, fate: str) -> None:
    assert fate_of(SMALL, large) == fate


def test_without_a_small_effect_an_interval_around_zero_fades() -> None:
    assert fate_of(Effect(None, None, 0), Effect(0.0, (-0.05, 0.05), 4)) == "fades"


def test_seeds_are_fresh_at_every_size() -> None:
    seeds = {confirmation_seed(3, pair) for pair in range(100)}
    for preset in ("cpu-tiny", "gpu-small"):
        fresh = {confirmation_seed(transfer_seed(3, preset), pair) for pair in range(100)}
        assert not fresh & seeds
        seeds |= fresh


def test_each_change_is_compared_with_its_own_parent_on_the_same_pairs(tmp_path: Path) -> None:
    place = write_run(tmp_path / "run", PROFILES[:1]).org_run(PROFILES[0].name, 0)
    events = journal.read(place.journal)
    small = read_lines(place.confirmations, Confirmation)
    merges = trunk_merges(events)

    def worse(confirmation: Confirmation) -> Confirmation:
        """Every change but the first brings nothing at the larger size, to the last digit."""
        first = merges[0]
        score = 2.0 + confirmation.pair - (0.5 if confirmation.commit != first.parent else 0.0)
        fields = {name: getattr(confirmation, name) for name in confirmation.__struct_fields__}
        return Confirmation(**{**fields, "bpb": {"confirm": score, "holdout": score}})

    found = transferred((PROFILES[0].name, 0, "small", "large"), events, Scores(small), Scores(map(worse, small)))
    assert len(found.changes) == len(merges) >= 2
    assert [change.large.mean for change in found.changes] == [-0.5] + [0.0] * (len(merges) - 1)
    assert found.changes[0].fate == "survives"
    assert {change.fate for change in found.changes[1:]} <= {"fades", "undecided"}
    assert found.large_gain.mean == 0.5
    assert found.small_gain.mean is not None
    assert found.small_gain.mean > 0
    text = markdown([found])
    assert text.count("\n| `") == len(merges)
    assert "+0.5000 [+0.5000, +0.5000] at large" in text
