"""EVIDENCE.md says what the record holds, and no more; the picture is the same bytes for the same record."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import msgspec
import pytest

from metaloop.edges.evidence import write_evidence
from metaloop.edges.evidence.markdown import render
from metaloop.edges.evidence.phrases import count, p_value, table
from metaloop.edges.evidence.picture import draw, ends, looks, top
from metaloop.meta.evidence.anytime import Curve
from metaloop.meta.evidence.importance import Importance
from metaloop.meta.evidence.report import Evidence, observe
from tests.meta.evidence.made import around, evidence, on_half, results


def png_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    return struct.unpack(">II", path.read_bytes()[16:24])


@pytest.fixture(scope="module")
def whole() -> Evidence:
    return evidence()


@pytest.fixture(scope="module")
def page(whole: Evidence) -> str:
    return render(whole, "anytime.svg")


def test_the_headline_has_gain_n_interval_and_p(page: str) -> None:
    first = next(line for line in page.splitlines() if line.startswith("- **simulated**"))
    assert "n = 10 org runs" in first
    assert "**+1.2000 bits per byte** [+1.1" in first
    assert "**0.2000 more than its parent `daily-standup`**" in first
    assert "**0.1000 more than the strongest control `tpe`**" in first
    assert re.search(r"p = (< )?0\.\d+, sign-flip p = 0\.\d+", first)
    assert "it is where `tpe` ends after **50%** of the GPU-hours" in first


def test_what_cannot_be_told_apart_is_not_called_better(page: str) -> None:
    real = next(line for line in page.splitlines() if line.startswith("- **real**"))
    assert "not told apart from the strongest control `tpe`" in real
    assert "more than the strongest control" not in real


def test_less_is_called_less() -> None:
    worse = results({"evolved": around(0.8), "daily-standup": around(0.7, 3), "tpe": around(1.1, 5)})
    page = render(evidence(worlds=(observe("simulated", worse, "evolved", "daily-standup"),)), "anytime.svg")
    assert "**0.3000 less than the strongest control `tpe`**" in page
    assert "it never is where `tpe` ends" in page
    assert "Nothing here was measured on real trainings" in page


def test_ends_are_drawn_with_the_evolved_one_on_half_of_the_budget(tmp_path: Path) -> None:
    found = results({"evolved": around(1.2), "daily-standup": around(1.0, 3), "tpe": around(1.1, 5)})
    whole = msgspec.structs.replace(found, terms=msgspec.structs.replace(found.terms, confirm="ends"))
    less = msgspec.structs.replace(whole, organizations=results({"evolved": around(1.05)}).organizations)
    less = on_half(
        msgspec.structs.replace(less, organizations=(*less.organizations, *whole.organizations[1:])), "evolved"
    )
    worlds = (
        observe("real", whole, "evolved", "daily-standup"),
        observe("half", less, "evolved", "daily-standup"),
    )
    rows = [name for name, _ in ends(worlds[0], worlds)]
    assert rows == ["daily-standup", "evolved,\n50% of the GPU-hours", "tpe", "evolved"]
    draw(evidence(worlds=worlds), tmp_path / "ends.png")
    draw(evidence(worlds=worlds[:1]), tmp_path / "one.png")
    sizes = [png_size(tmp_path / name) for name in ("ends.png", "one.png")]
    assert sizes[0] == sizes[1], "a world on a part of the budget has no panel of its own"


def test_worlds_stand_side_by_side(page: str) -> None:
    heading = next(line for line in page.splitlines() if line.startswith("| organization | simulated: gain"))
    assert heading == (
        "| organization | simulated: gain, bpb | evolved − it | p | real: gain, bpb | evolved − it | p |"
    )
    rows = [line for line in page.splitlines() if line.startswith("| `no-op` (control) | ")]
    assert rows[0].endswith("| – | – | – |")


def test_all_tables_are_whole(page: str) -> None:
    blocks = re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE)
    assert len(blocks) >= 7
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_lines_that_earn_are_told_from_those_that_do_not(page: str) -> None:
    earns = next(line for line in page.splitlines() if line.startswith("| local-proposer: boldness 0.25 -> 0.5"))
    assert earns.endswith("| **earns** |")
    same = next(line for line in page.splitlines() if line.startswith("| cadence.lookahead 1 -> 3"))
    assert same.endswith("| the same on every seed |")
    assert "+      boldness: 0.5" in page
    assert "- `greedy-merger`: it holds the last merger" in page


def test_limits_come_from_the_record(page: str) -> None:
    limits = page.split("## What this does not show")[1]
    assert limits.strip().startswith("- One parent was tried.")
    assert "*simulated* comes from a model" in limits
    assert "Nothing here was measured on real trainings" not in limits


def test_sections_without_content_are_left_out() -> None:
    bare = evidence(ablation=None, credit=None, lineage=(), importance=Importance(3, 0, (), "3 say nothing."))
    page = render(bare, "anytime.svg")
    assert "## Lineage" not in page
    assert "## Which lines" not in page
    assert "3 say nothing." in page
    assert "\n\n\n" not in page


def test_the_folder_has_note_picture_and_record(whole: Evidence, tmp_path: Path) -> None:
    note = write_evidence(whole, tmp_path / "evolved")
    assert note.read_text(encoding="utf-8") == render(whole, "anytime.svg")
    assert msgspec.json.decode((tmp_path / "evolved" / "evidence.json").read_bytes(), type=Evidence) == whole
    picture = tmp_path / "evolved" / "anytime.svg"
    draw(whole, tmp_path / "again.svg")
    assert picture.read_bytes() == (tmp_path / "again.svg").read_bytes()
    assert picture.stat().st_size < 400_000


def test_an_organization_looks_the_same_in_every_world(whole: Evidence) -> None:
    shown = looks(whole.worlds)
    assert set(shown) == {"evolved", "daily-standup", "tpe", "no-op"}
    assert len({look.colour for look in shown.values()}) == 4
    assert [name for name, look in shown.items() if look.width == max(other.width for other in shown.values())] == [
        "evolved"
    ]


def test_numbers_in_words() -> None:
    assert [p_value(v) for v in (None, 0.0, 0.00004, 0.0123, 1.0)] == ["–", "< 0.0001", "< 0.0001", "0.012", "1"]
    assert [count(v) for v in (0, 3.14, 12345.0)] == ["0", "3.1", "12,345"]
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| :-- | --: |\n| 1 | 2 |\n"


@pytest.mark.parametrize(
    ("high", "expected"),
    [((0.4, 1.1), 1.1), ((1.9, 1.5), 1.9), ((6.0, 1.5), 2.0), ((), 1.0)],
    ids=["within", "wide", "of two org runs", "of one org run"],
)
def test_a_band_gets_room_but_never_so_much_that_means_lie_flat(high: tuple[float, ...], expected: float) -> None:
    curve = Curve("evolved", 2, (0.2, 1.0), high, high)
    assert top((curve, Curve("tpe", 2, (0.1, 0.5), (), ()))) == pytest.approx(1.06 * expected)


def test_a_picture_of_nothing_has_room() -> None:
    assert top(()) > 0.0
