"""Nodes of a Ray cluster that have been told to go: which devices are on them.

Ray is told by its autoscaler, by the node itself on SIGTERM, or by ``ray drain-node``. From then on it places nothing
new there, but actors that are there live on, and calls to them are answered, until the node is really gone (past its
deadline too, Ray 2.60). So it is for us to give no new work to who trains there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

LOOK_S = 3.0
"""How often the cluster is asked. An answer takes some 4 ms; spot nodes are told 30 s or more before they go."""
PATIENCE_S = 5.0
"""How long an answer may take: a cluster whose head is too busy to say who goes is asked again later."""


class Moves(NamedTuple):
    """Devices whose node has been told to go since the last look, and devices of which that is no longer so."""

    leaving: tuple[str, ...]
    back: tuple[str, ...]


NO_MOVES = Moves((), ())


class Departures:
    """Devices on nodes that will go. ``nodes`` says on which node each device is (Ray's identifier in hex)."""

    def __init__(self, ray: Any, nodes: Callable[[], Mapping[str, str]]) -> None:
        self._ray = ray
        self._nodes = nodes
        self._next_look = -math.inf
        self.idle_since: dict[str, float] = {}
        """Those devices, and since when they have had nothing to do (as far as the last look knows)."""

    def look(self, now: float, busy: Collection[str]) -> Moves:
        """What is new at time ``now``; nothing, if the last look was a moment ago. ``busy`` devices train."""
        if now < self._next_look:
            return NO_MOVES
        self._next_look = now + LOOK_S
        going = self._going()
        if going is None:
            return NO_MOVES
        nodes = self._nodes() if going else {}
        leaving = {device for device, node in nodes.items() if node in going}
        moves = Moves(tuple(sorted(leaving - self.idle_since.keys())), tuple(sorted(self.idle_since.keys() - leaving)))
        self.idle_since = {d: now if d in busy else self.idle_since.get(d, now) for d in leaving}
        return moves

    def _going(self) -> Collection[str] | None:
        """The nodes that will go; ``None``: nobody could say."""
        cluster = self._ray._private.worker.global_worker.gcs_client
        try:
            nodes: dict[str, int] = cluster.get_draining_nodes(timeout=PATIENCE_S)
        except self._ray.exceptions.RayError:
            return None
        return nodes
