"""Leases on Ray actors at work: who is silent for too long is taken for dead, whatever became of the process.

A process that was stopped (SIGSTOP), whose node hangs or is cut off, never fails a call by itself. So an actor that has
worked for a while is asked for a sign of life, in a thread of its own that answers while a training goes on. Whoever
finds a lease run out kills the process and gives up its call; an answer that comes back from the dead afterwards
belongs to a call that nobody waits for, and changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEALTH = "health"
"""The concurrency group of an actor that answers for it: one thread, beside the one that works."""
HONEST = 0.1
"""The slowest honest training takes below this share of the time after which one counts as hung
(``nanogpt_trainer.LONGEST_S``): an actor that could not say a word for as long as a whole training lasts is gone."""


def lease_s(longest_s: float) -> float:
    """How long an actor may be silent, from the seconds after which a training of its target counts as hung."""
    return HONEST * longest_s


@dataclass
class _Ping:
    actor: Any
    answer: Any
    looks: int = 0


class Heartbeats:
    """Signs of life of the actors at work, looked for every ``every_s`` seconds.

    A lease is counted in looks and not in seconds: a driver that was itself stopped for an hour has not looked
    meanwhile, and takes its own sleep for nobody's death.
    """

    def __init__(self, ray: Any, lease_s: float, every_s: float) -> None:
        self._ray = ray
        self._most = max(2, math.ceil(lease_s / every_s))
        self._pings: dict[str, _Ping] = {}

    def look(self, at_work: Mapping[str, Any]) -> list[str]:
        """Look at the actors that are at work (by any name); returns the names of those whose lease has run out."""
        self._forget_answered(at_work)
        expired = []
        for name, actor in at_work.items():
            ping = self._pings.get(name)
            if ping is None:
                answer = actor.alive.options(concurrency_group=HEALTH).remote()
                self._pings[name] = _Ping(actor, answer)
                continue
            ping.looks += 1
            if ping.looks >= self._most:
                expired.append(name)
                del self._pings[name]
        return expired

    def _forget_answered(self, at_work: Mapping[str, Any]) -> None:
        """An error is an answer too: the call that the actor works on will fail with it."""
        for name in [n for n, ping in self._pings.items() if at_work.get(n) is not ping.actor]:
            del self._pings[name]
        asked = [ping.answer for ping in self._pings.values()]
        answered = set(self._ray.wait(asked, num_returns=len(asked), timeout=0)[0]) if asked else set()
        for name in [n for n, ping in self._pings.items() if ping.answer in answered]:
            del self._pings[name]
