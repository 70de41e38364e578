"""The report: self-contained, escaped, whole for finished and unfinished runs."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from metaloop.edges.commands.report import report_command
from metaloop.edges.report import write_report
from metaloop.edges.report.charts import place_labels
from metaloop.edges.report.story import describe, tell
from metaloop.edges.report.svg import label, staircase, tag, ticks
from metaloop.files.run_folder import write_json
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import Cost
from tests.meta.synthetic_run import PROFILES, Maker, Profile, terms, write_run

VOID = {"meta", "br"}


class Balance(HTMLParser):
    """Collects tags that are not closed, and everything that would make a browser ask a network."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def check(page: Path) -> str:
    """The page's visible text, after it was found whole and self-contained."""
    html = page.read_text()
    parser = Balance()
    parser.feed(html)
    assert parser.open == []
    assert all(link.startswith("#") for link in parser.links)
    assert not re.search(r"url\(|@import|<script", html)
    return "".join(parser.text)


def test_a_finished_run_has_every_section_for_every_organization(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", seeds=2)
    text = check(write_report(folder.path))
    for name in ("Leaderboard", "Gain over GPU-hours", "Experiments", "Devices", "Who earned what", "Research record"):
        assert name in text
    assert text.count("Research record") == 8
    assert "Seed 1:" in text


def test_untrusted_text_is_escaped(tmp_path: Path) -> None:
    evil = Profile("solo-greedy", 0.5, authors=("<script>alert(1)</script>",))
    folder = write_run(tmp_path / "run", (evil,))
    html = write_report(folder.path).read_text()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "<b>&" not in html  # the hypotheses of the synthetic run
    assert label("<i>", 0, 0) == '<text x="0" y="0" class="tick" text-anchor="start">&lt;i&gt;</text>'
    assert tag("a", href='"onload=') == '<a href="&quot;onload="/>'


def test_unfinished_and_unbegun_runs_have_a_report_too(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", PROFILES[:2], ended=False)
    text = check(write_report(folder.path))
    assert "not confirmed yet" in text
    assert "under way" in text
    write_json(tmp_path / "new" / "run.json", terms())
    assert "Not begun." in check(write_report(tmp_path / "new"))


def test_false_merges_are_marked(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", (Profile("unlucky", 0.05),))
    html = write_report(folder.path).read_text()
    assert 'class="false"' in html
    assert "badge bad" in html


def test_the_story_gives_every_training_its_fate() -> None:
    maker = Maker(PROFILES[2], 0)
    story = tell(maker.play())
    assert story is not None
    merged = [t for t in story.trainings if t.fate == "merged"]
    assert {t.commit for t in merged} == {m.commit for m in maker.merged}
    assert all((t.bpb is None) == (t.result.state != "ok") for t in story.trainings)
    assert sum(author.merged for author in story.authors) == len(maker.merged)
    best = [value for _, value in story.best_so_far()]
    assert best == sorted(best, reverse=True)
    assert story.stand_ups
    assert [t.number for t in story.trainings] == list(range(1, len(story.trainings) + 1))
    hours = [t.gpu_hours for t in story.trainings]
    assert hours == sorted(hours)
    assert tell([]) is None


def test_lost_attempts_and_open_trainings_are_told() -> None:
    begun = [e for e in Maker(PROFILES[0], 0).play() if isinstance(e, ev.RunStarted | ev.Reserved | ev.Queued)][:4]
    attempts = [
        ev.Started(1.0, "e1", "cpu-0", 1),
        ev.Lost(2.0, "e1", "cpu-0", 1, "killed"),
        ev.Started(2.0, "e1", "cpu-0", 2),
        ev.Passed(5.0, "x", "nothing", Cost()),
    ]
    told = tell([*begun, *attempts])
    assert told is not None
    assert (told.lost[0].start, told.lost[0].end) == (1.0, 2.0)
    assert (told.under_way[0].start, told.under_way[0].end) == (2.0, 5.0)


def test_change_sets_are_described_shortly() -> None:
    assert describe({"lr": 0.03125, "norm": True}) == "lr 0.0312, norm true"
    assert describe(dict.fromkeys("abcdefgh", 1)) == "8 knobs"
    assert describe(dict.fromkeys("abcdefgh", 1), 4) == "8 knobs: a 1, b 1, …"
    assert describe({}) == ""


@given(st.floats(-100, 100), st.floats(1e-6, 100), st.integers(2, 10))
@example(low=1.0, span=41.0, most=2)
def test_ticks_are_few_and_inside(low: float, span: float, most: int) -> None:
    found = ticks(low, low + span, most)
    assert 1 <= len(found) <= most + 1
    assert all(low - 1e-6 * span <= value <= low + span * (1 + 1e-6) for value in found)


def test_stairs_and_labels() -> None:
    assert staircase([(0, 1), (2, 3)], 5) == [(0, 1), (2, 1), (2, 3), (5, 3)]
    dots = [(100.0, 100.0), (105.0, 102.0), (990.0, 100.0)]
    places = place_labels(dots, [80.0, 80.0, 80.0], 1000.0, (0.0, 300.0))
    assert all(place is not None for place in places)
    assert places[2][0] < 990.0  # type: ignore[index]
    assert abs(places[0][1] - places[1][1]) >= 11  # type: ignore[index]
    assert place_labels(dots, [80.0], 1000.0, (0.0, 10.0)) == [None]


def test_the_command_writes_page_and_picture(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    picture = tmp_path / "img" / "run.png"
    result = CliRunner().invoke(report_command, [str(folder.path), "--png", str(picture)])
    assert result.exit_code == 0, result.output
    assert folder.report.exists()
    assert picture.read_bytes().startswith(b"\x89PNG")
