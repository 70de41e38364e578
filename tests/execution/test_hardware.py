"""What devices are, and that comparisons stay on equal ones."""

from __future__ import annotations

import pytest

from metaloop.edges.lanes import check_alike
from metaloop.edges.progress import Progress
from metaloop.edges.session import say_if_mixed
from metaloop.execution.hardware import counted, device_name
from metaloop.execution.placement import WHOLE, Placement
from metaloop.vocabulary.errors import BackendError


def test_a_device_has_a_name() -> None:
    name = device_name(gpu=False)
    assert name
    assert name == name.strip()
    assert "\n" not in name


def test_kinds_are_counted() -> None:
    assert counted(["H100", "A100", "A100"]) == "2 x A100, 1 x H100"


def test_a_pinned_device_asks_for_a_touch_of_the_kind() -> None:
    assert Placement(accelerator="H100").resources(gpu=True) == {"GPU": 1.0, "CPU": 1.0, "accelerator_type:H100": 0.001}
    assert WHOLE.resources(gpu=False) == {"CPU": 1.0}


def test_lanes_of_unlike_devices_are_refused() -> None:
    check_alike([("A100", "H100"), ("H100", "A100")])
    with pytest.raises(BackendError, match=r"lane 1: 2 x A100; lane 2: 1 x A100, 1 x H100.*--accelerator"):
        check_alike([("A100", "A100"), ("A100", "H100")])


def test_one_line_warns_of_unlike_devices(capsys: pytest.CaptureFixture[str]) -> None:
    say_if_mixed(("A100", "A100"), Progress())
    assert capsys.readouterr().err == ""
    say_if_mixed(("A100", "H100"), Progress())
    assert "not of one kind: 1 x A100, 1 x H100" in capsys.readouterr().err
