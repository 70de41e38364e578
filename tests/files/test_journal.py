"""The journal: what was appended is what is read, whatever byte the process died at."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloop.files import journal
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import JournalError
from metaloop.vocabulary.records import Cost, CurvePoint, TrainingResult

RESULT = TrainingResult("ok", 1.25, {"val": 3.0625}, (CurvePoint(0.5, 0.6, 3.5),), 10, 1000, 1e9)
EVENTS: list[ev.Event] = [
    ev.RunStarted(0.0, "solo", "abc", 3, ("d0",), 60.0, {"preset": "x"}, "test", "0"),
    ev.Reserved(0.0, "d0"),
    ev.Finished(1.5, "e1", "d0", 1, RESULT),
    ev.Passed(2.0, 'ünïcode\n"name"', "nothing\tleft", Cost()),
]


def write(path: Path, events: list[ev.Event]) -> None:
    log = journal.FileJournal(path)
    for event in events:
        log.append(event)
    log.close()


def test_round_trip(tmp_path: Path) -> None:
    write(tmp_path / "j", EVENTS)
    assert journal.read(tmp_path / "j") == EVENTS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(cut=st.integers(0, 10_000))
def test_a_torn_tail_costs_only_the_torn_event(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "torn"
    whole = b"".join(journal.encode(e) + b"\n" for e in EVENTS)
    cut = min(cut, len(whole))
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    assert journal.read(path) == EVENTS[:kept]
    log = journal.FileJournal(path)
    for event in EVENTS[kept:]:
        log.append(event)
    log.close()
    assert path.read_bytes() == whole


def test_damage_in_the_middle_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "j"
    lines = [journal.encode(e) for e in EVENTS]
    lines[1] = b'{"type":"resurved","t":0.0,"device":"d0"}'
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(JournalError, match=r"j:2: not a journal event"):
        journal.read(path)


def test_a_missing_journal_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        journal.read(tmp_path / "none")


def test_old_journals_are_of_single_devices() -> None:
    line = (
        b'{"type":"run_started","t":0.0,"organization":"o","org_digest":"x","seed":0,"devices":["gpu-0"],'
        b'"budget_s":60.0,"target":{},"backend":"ray","version":"0.1.0"}'
    )
    started = journal._DECODER.decode(line)
    assert isinstance(started, ev.RunStarted)
    assert started.devices_per_experiment == 1
