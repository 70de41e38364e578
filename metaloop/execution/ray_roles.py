"""The role actors of a Ray backend: one process for each member of the organization that is hosted."""

from __future__ import annotations

from typing import Any

import msgspec

from metaloop.actors.messages import Ask
from metaloop.execution.backend import Hosting
from metaloop.execution.heartbeats import HEALTH
from metaloop.execution.ray_actors import Assignment, RoleProcess


class Roles:
    """Processes that take up member after member, from org run to org run; they hold no device."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._hosting: Hosting | None = None
        self._index: dict[str, int] = {}
        self.actors: list[Any] = []

    def assign(self, hosting: Hosting) -> dict[str, Any]:
        """Make every member of an org run someone's part; returns what to wait for, by member."""
        self._hosting = hosting
        self._index = {member.name: index for index, member in enumerate(hosting.members)}
        while len(self.actors) < len(hosting.members):
            self.actors.append(self._new())
        return {name: self._assign(name) for name in self._index}

    def of(self, member: str) -> Any:
        return self.actors[self._index[member]]

    def ask(self, ask: Ask) -> Any:
        return self.of(ask.actor).ask.remote(msgspec.json.encode(ask))

    def replace(self, member: str) -> None:
        """A new process in the place of the member's, which may still think about something that nobody wants to know
        any more."""
        self._ray.kill(self.of(member))
        self.actors[self._index[member]] = self._new()

    def revive(self, member: str) -> Any:
        """A new process for the member, whose own has died; returns what to wait for."""
        self.actors[self._index[member]] = self._new()
        return self._assign(member)

    def _new(self) -> Any:
        options = {"num_cpus": 0, "max_restarts": 0, "concurrency_groups": {HEALTH: 1}}
        return self._ray.remote(**options)(RoleProcess).remote()

    def _assign(self, member: str) -> Any:
        hosting = self._hosting
        assert hosting is not None
        given = hosting.members[self._index[member]]
        assignment = Assignment(given, hosting.space.knobs, hosting.seed, hosting.members, hosting.thinking)
        return self.of(member).assign.remote(msgspec.json.encode(assignment))
