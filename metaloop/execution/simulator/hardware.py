"""How fast each device is at each moment: differences, drift, throttling, contention, stragglers, all from the seed.

Every device and host draws from streams of its own, named by the org run's seed and its place, so that two
organizations with one seed meet the same machines, whatever they do with them.
"""

from __future__ import annotations

import math
import random

from metaloop.execution.simulator.cluster import Hardware
from metaloop.vocabulary.seeds import python_stream


class _Host:
    """A host's drift: an Ornstein-Uhlenbeck process, moved on exactly from one look to the next.

    x(t+dt) = x(t)·exp(-dt/tau) + sd·sqrt(1 - exp(-2·dt/tau))·z (Uhlenbeck and Ornstein 1930; Gillespie 1996).
    """

    def __init__(self, rng: random.Random, hardware: Hardware) -> None:
        self._rng = rng
        self._spread, self._tau = hardware.drift_spread, hardware.drift_hours * 3600.0
        self._log_speed = rng.gauss(0.0, hardware.host_spread) if hardware.host_spread else 0.0
        self._drift = rng.gauss(0.0, self._spread) if self._spread else 0.0
        self._at = 0.0
        self.busy = 0

    def log_speed(self, now: float) -> float:
        if self._spread and now > self._at:
            kept = math.exp((self._at - now) / self._tau)
            self._drift = self._drift * kept + self._spread * math.sqrt(1.0 - kept * kept) * self._rng.gauss(0.0, 1.0)
            self._at = now
        return self._log_speed + self._drift


class _Device:
    """A device's own speed and its throttled stretches: exponential gaps and lengths (an alternating renewal)."""

    def __init__(self, rng: random.Random, hardware: Hardware) -> None:
        self.rng = rng
        self._hardware = hardware
        self._log_speed = rng.gauss(0.0, hardware.device_spread) if hardware.device_spread else 0.0
        self._throttled = False
        self._until = self._gap() if hardware.throttles_per_hour else math.inf

    def _gap(self) -> float:
        return self.rng.expovariate(self._hardware.throttles_per_hour / 3600.0)

    def log_speed(self, now: float) -> float:
        while now >= self._until:
            self._throttled = not self._throttled
            self._until += self.rng.expovariate(1.0 / self._hardware.throttle_s) if self._throttled else self._gap()
        return self._log_speed - (math.log(self._hardware.throttle_factor) if self._throttled else 0.0)


class Machines:
    """All devices of a simulated cluster, made when first looked at."""

    def __init__(self, hardware: Hardware, seed: int) -> None:
        self._hardware = hardware
        self._seed = seed
        self._even = _is_even(hardware)
        self._devices: dict[int, _Device] = {}
        self._hosts: dict[int, _Host] = {}

    def begin(self, place: int, now: float) -> float:
        """The speed, against the recorded machine, at which device number ``place`` trains what it begins now."""
        if self._even:
            return 1.0 / self._hardware.slowdown
        hardware, device, host = self._hardware, self._device(place), self._host(place)
        log_speed = host.log_speed(now) + device.log_speed(now) - math.log(hardware.slowdown)
        log_speed -= math.log1p(hardware.contention * host.busy)
        if hardware.duration_spread:
            log_speed -= device.rng.gauss(0.0, hardware.duration_spread)
        if hardware.straggler_chance and device.rng.random() < hardware.straggler_chance:
            log_speed -= math.log(hardware.straggler_factor)
        host.busy += 1
        return math.exp(log_speed)

    def end(self, place: int) -> None:
        """The training that device number ``place`` had begun is over."""
        if not self._even:
            self._host(place).busy -= 1

    def _device(self, place: int) -> _Device:
        if place not in self._devices:
            self._devices[place] = _Device(python_stream(self._seed, "sim-device", place), self._hardware)
        return self._devices[place]

    def _host(self, place: int) -> _Host:
        number = place // self._hardware.devices_per_host
        if number not in self._hosts:
            self._hosts[number] = _Host(python_stream(self._seed, "sim-host", number), self._hardware)
        return self._hosts[number]


def _is_even(hardware: Hardware) -> bool:
    """Whether all devices are equal at all times, so that nothing needs to be drawn."""
    spreads = (hardware.device_spread, hardware.host_spread, hardware.drift_spread, hardware.duration_spread)
    return not any((*spreads, hardware.contention, hardware.straggler_chance, hardware.throttles_per_hour))
