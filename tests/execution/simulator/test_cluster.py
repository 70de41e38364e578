"""Cluster descriptions: shipped ones are in order, wrong ones are refused with file and line."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaloop.execution.simulator.cluster import IDEAL, Cluster
from metaloop.execution.simulator.cluster_file import SECTIONS, fields_of, find_cluster, shipped_clusters
from metaloop.vocabulary.errors import FileError, UsageError


def test_shipped_descriptions_are_in_order_and_named_after_their_file() -> None:
    assert set(shipped_clusters()) >= {"ideal", "laptop", "h100-node", "spot"}
    for name in shipped_clusters():
        assert find_cluster(name).name == name
    ideal = find_cluster("ideal")
    assert msgspec.structs.replace(ideal, name="", description="") == msgspec.structs.replace(
        IDEAL, name="", description=""
    )


def test_every_field_has_a_range_around_its_default_and_a_meaning() -> None:
    for section in SECTIONS:
        for knob in fields_of(section):
            assert knob.low is not None
            assert knob.high is not None
            assert knob.low <= float(knob.default) <= knob.high
            assert knob.meaning.endswith(".")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: x\nfaults:\n  loss_chance: 2\n", 3, "faults.loss_chance must lie in [0, 0.9], got 2"),
        ("name: x\nfaults:\n  los_chance: 0\n", 3, "did you mean 'loss_chance'"),
        ("delays:\n  git_s: soon\n", 2, "delays.git_s must be a number, got 'soon'"),
        ("hardware:\n  devices_per_host: 1.5\n", 2, "must be a whole number"),
        ("hardwear:\n  slowdown: 1\n", 1, "did you mean 'hardware'"),
        ("faults: 3\n", 1, "faults must hold 'key: value' lines"),
        ("a: 1\na: 2\n", 2, "duplicate key 'a'"),
        ("- 1\n", 1, "a list"),
        ("delays:\n  git_s: -1\n", 2, "must lie in [0, 86400.0], got -1"),
        ("delays:\n\tgit_s: 1\n", 2, "tab"),
    ],
)
def test_wrong_files_are_refused_with_their_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(FileError) as caught:
        find_cluster(str(path))
    assert caught.value.line == line
    assert said in str(caught.value)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'laptop'"):
        find_cluster("lptop")


KNOBS = [knob for section in SECTIONS for knob in fields_of(section)]


@given(st.sampled_from(KNOBS), st.data())
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, knob, data) -> None:  # type: ignore[no-untyped-def]
    numbers = st.integers if knob.kind == "int" else st.floats
    value = data.draw(numbers(knob.low, knob.high))
    path = tmp_path_factory.mktemp("cluster") / "mine.yaml"
    path.write_text(f"{knob.group}:\n  {knob.name}: {value!r}\n")
    cluster: Cluster = find_cluster(str(path))
    assert getattr(getattr(cluster, knob.group), knob.name) == value
