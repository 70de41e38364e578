"""The one interface of all brains, and what scripted ones share.

A brain decides and never acts. Its memory is a fold over the news its observations brought, and its randomness a
named stream per decision, so that a brain that is born again and told everything again decides the same.
"""

from __future__ import annotations

from typing import Protocol

from metaloop.vocabulary.decisions import Decision, Observation
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Config
from metaloop.vocabulary.seeds import Streams
from metaloop.vocabulary.space import Value

Fingerprint = frozenset[tuple[str, Value]]
"""A configuration as a set element."""


class Brain(Protocol):
    """Answers one observation after the other."""

    def decide(self, observation: Observation) -> Decision:
        """The member's decision, with its declared cost."""
        ...


class Policy:
    """A member's policy values, by type. The files have checked them; a wrong kind here is a programming error."""

    def __init__(self, member: Member) -> None:
        self._values = member.policy
        self._reals = {name: float(v) for name, v in member.policy.items() if isinstance(v, int | float)}

    def real(self, name: str) -> float:
        return self._reals[name]

    def whole(self, name: str) -> int:
        return int(self._reals[name])

    def word(self, name: str) -> str:
        value = self._values[name]
        assert isinstance(value, str)
        return value

    def flag(self, name: str) -> bool:
        return bool(self._values[name])

    def names(self, name: str) -> tuple[str, ...]:
        value = self._values.get(name, ())
        assert isinstance(value, tuple | list)
        return tuple(value)


def streams(seed: int, member: Member) -> Streams:
    """The generators of a member's decisions, by their index."""
    return Streams(seed, "brain", member.name)


def fingerprint(config: Config) -> Fingerprint:
    """A configuration as a set element; cheaper than a digest, good within one process."""
    return frozenset(config.items())
