"""Speeds of simulated devices: as described, and the same for whoever asks."""

from __future__ import annotations

import math
from statistics import mean, stdev

import pytest

from metaloop.execution.simulator.cluster import Hardware
from metaloop.execution.simulator.hardware import Machines


def log_speeds(hardware: Hardware, devices: int, times: list[float], seed: int = 0) -> list[list[float]]:
    machines = Machines(hardware, seed)
    found = []
    for place in range(devices):
        row = []
        for now in times:
            row.append(math.log(machines.begin(place, now)))
            machines.end(place)
        found.append(row)
    return found


def test_equal_devices_have_the_described_speed() -> None:
    assert log_speeds(Hardware(slowdown=2.0), 3, [0.0, 9.0]) == [[-math.log(2.0)] * 2] * 3


def test_devices_and_hosts_differ_as_described() -> None:
    rows = log_speeds(Hardware(device_spread=0.1, devices_per_host=1), 2000, [0.0])
    assert stdev(row[0] for row in rows) == pytest.approx(0.1, rel=0.06)
    rows = log_speeds(Hardware(host_spread=0.2, devices_per_host=4), 4000, [0.0])
    assert all(rows[i] == rows[i - i % 4] for i in range(4000))
    assert stdev(row[0] for row in rows) == pytest.approx(0.2, rel=0.06)


def test_drift_is_stationary_and_forgotten_after_its_hours() -> None:
    hardware = Hardware(drift_spread=0.1, drift_hours=1.0, devices_per_host=1)
    rows = log_speeds(hardware, 3000, [0.0, 3600.0, 36000.0])
    for column in range(3):
        assert stdev(row[column] for row in rows) == pytest.approx(0.1, rel=0.06)
    near = mean(row[0] * row[1] for row in rows) / 0.01
    assert near == pytest.approx(math.exp(-1.0), abs=0.07)
    assert mean(row[0] * row[2] for row in rows) / 0.01 == pytest.approx(0.0, abs=0.07)


def test_throttled_share_is_that_of_an_alternating_renewal() -> None:
    hardware = Hardware(throttles_per_hour=2.0, throttle_s=600.0, throttle_factor=1.5)
    rows = log_speeds(hardware, 300, [float(t) for t in range(0, 72_000, 600)])
    slow = [value < -0.1 for row in rows for value in row]
    assert sum(slow) / len(slow) == pytest.approx(600.0 / (1800.0 + 600.0), rel=0.1)
    assert {round(math.exp(-value), 6) for row in rows for value in row} == {1.0, 1.5}


def test_busy_neighbours_slow_a_training_down() -> None:
    machines = Machines(Hardware(contention=0.25, devices_per_host=2), 0)
    alone, beside, elsewhere = machines.begin(0, 0.0), machines.begin(1, 0.0), machines.begin(2, 0.0)
    assert (alone, elsewhere) == (1.0, 1.0)
    assert beside == pytest.approx(1 / 1.25)
    machines.end(0)
    machines.end(1)
    assert machines.begin(1, 1.0) == 1.0


def test_stragglers_come_as_often_as_described() -> None:
    rows = log_speeds(Hardware(straggler_chance=0.2, straggler_factor=4.0), 20, [float(t) for t in range(200)])
    slow = [value < -1 for row in rows for value in row]
    assert sum(slow) / len(slow) == pytest.approx(0.2, abs=0.03)


def test_a_device_is_the_same_whichever_others_are_used() -> None:
    hardware = Hardware(device_spread=0.1, host_spread=0.1, drift_spread=0.1, duration_spread=0.1, devices_per_host=1)
    alone = Machines(hardware, 7)
    among = Machines(hardware, 7)
    for place in range(5):
        among.begin(place, 0.5)
    assert [alone.begin(9, t) for t in (0.0, 5.0)] == [among.begin(9, t) for t in (0.0, 5.0)]
