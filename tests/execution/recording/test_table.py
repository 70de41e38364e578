"""A recording as a table: what goes in comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloop.execution.recording.design import Recorded
from metaloop.execution.recording.table import (
    MESSAGE,
    SPLITS,
    Provenance,
    normal,
    read_provenance,
    read_table,
    write_table,
)
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.records import CurvePoint, StopRule, TrainingRequest, TrainingResult
from metaloop.vocabulary.space import Knob, Space

SPACE = Space(
    (
        Knob("rate", "optimizer", "float", 0.01, 1e-4, 1.0, log=True),
        Knob("layers", "shape", "int", 3, 1, 8),
        Knob("tied", "shape", "bool", True, choices=(False, True)),
        Knob("norm", "shape", "choice", "layer", choices=("layer", "rms")),
    )
)
WHERE = Provenance("metaloop record", "2026-01-02", "one core", {"torch": "2"}, {"preset": "cpu-tiny"})

numbers = st.floats(min_value=1e-6, max_value=1e18, allow_nan=False)
configs = st.fixed_dictionaries(
    {},
    optional={
        "rate": st.floats(1e-4, 1.0),
        "layers": st.integers(1, 8),
        "tied": st.booleans(),
        "norm": st.sampled_from(("layer", "rms")),
    },
)
requests = st.builds(
    TrainingRequest,
    config=configs,
    seed=st.integers(0, 2**31 - 1),
    score_on=st.lists(st.sampled_from(SPLITS), unique=True).map(tuple),
    stop=st.none() | st.builds(StopRule, fraction=st.floats(0.1, 0.9), bpb_at_most=numbers),
    budget_fraction=st.floats(0.01, 1.0),
)
results = st.builds(
    TrainingResult,
    state=st.sampled_from(("ok", "stopped", "diverged", "oom", "timeout", "crash")),
    seconds=numbers,
    bpb=st.dictionaries(st.sampled_from(SPLITS), numbers),
    curve=st.lists(st.builds(CurvePoint, fraction=numbers, seconds=numbers, bpb=numbers), max_size=5).map(tuple),
    steps=st.integers(0, 2**40),
    tokens=st.integers(0, 2**50),
    flops=numbers,
    message=st.text(max_size=200),
    cpu_seconds=numbers,
)
stages = st.sampled_from(("space", "walk", "near", "repeat", "organization"))


@st.composite
def recordings(draw: st.DrawFn) -> list[Recorded]:
    count = draw(st.integers(0, 6))
    return [Recorded(i, draw(stages), draw(requests), draw(results)) for i in range(count)]


@given(rows=recordings())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_recording_comes_back_in_its_normal_form(rows: list[Recorded], tmp_path: Path) -> None:
    written = write_table(tmp_path / "r.parquet", reversed(rows), SPACE, WHERE)
    assert read_table(tmp_path / "r.parquet", SPACE) == [normal(row, SPACE) for row in rows]
    assert read_provenance(tmp_path / "r.parquet") == written
    assert written.space == SPACE.digest()


def test_a_column_holds_the_effective_value(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    row = Recorded(0, "walk", TrainingRequest({"layers": 5}, 1), TrainingResult("ok", 1.0, {"val": 3.0}))
    write_table(tmp_path / "r.parquet", [row], SPACE, WHERE)
    columns = pq.read_table(tmp_path / "r.parquet").to_pydict()
    assert columns["knob:layers"] == [5]
    assert columns["knob:rate"] == [0.01]
    assert columns["holdout"] == [None]


def test_the_digest_follows_the_rows_alone(tmp_path: Path) -> None:
    rows = [Recorded(i, "walk", TrainingRequest({}, i), TrainingResult("ok", 1.0)) for i in range(3)]
    first = write_table(tmp_path / "a.parquet", rows, SPACE, WHERE)
    again = write_table(tmp_path / "b.parquet", rows[::-1], SPACE, WHERE)
    other = write_table(tmp_path / "c.parquet", rows[:2], SPACE, WHERE)
    assert first == again
    assert first.rows != other.rows


def test_a_long_message_is_cut() -> None:
    row = Recorded(0, "walk", TrainingRequest({}, 1), TrainingResult("crash", 1.0, message="x" * 500))
    assert len(normal(row, SPACE).result.message) == MESSAGE


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.parquet").write_bytes(b"no")
    for name in ("no.parquet", "missing.parquet"):
        with pytest.raises(FileError, match="not a recording"):
            read_table(tmp_path / name, SPACE)
    write_table(tmp_path / "r.parquet", [], SPACE, WHERE)
    with pytest.raises(FileError, match="other knobs"):
        read_table(tmp_path / "r.parquet", Space((Knob("depth", "shape", "int", 1, 1, 2),)))
