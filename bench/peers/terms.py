"""The terms of a comparison: the same for both sides."""

from __future__ import annotations

import msgspec


class Terms(msgspec.Struct, frozen=True):
    """``organizations``: name to folder. ``gpu_hours``: what each run is granted, on ``devices`` devices.

    ``peer_focus``: the knob groups that peers look at; empty: all.
    """

    organizations: dict[str, str]
    peers: tuple[str, ...]
    real: bool
    seed: int
    seeds: int
    gpu_hours: float
    devices: int
    confirm_pairs: int
    trainer_python: str
    peer_focus: tuple[str, ...] = ()

    @property
    def budget_s(self) -> float:
        """Device-seconds of a run."""
        return 3600.0 * self.gpu_hours

    def continued_by(self, other: Terms) -> bool:
        """Whether ``other`` asks for more of the same: other sides and more seeds may join, nothing else may differ."""
        free = {"organizations": {}, "peers": (), "seeds": 0, "trainer_python": ""}
        return msgspec.structs.replace(self, **free) == msgspec.structs.replace(other, **free)
