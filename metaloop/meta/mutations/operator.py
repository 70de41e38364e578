"""What a mutation is: one method. What it may draw from, and what it yields."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from metaloop.files.org_record import OrgFile
from metaloop.files.role_file import RoleFile
from metaloop.meta.mutations.evidence import Evidence
from metaloop.vocabulary.records import Cost

FREE = Cost()
"""What a mutation costs that asks no model."""


@dataclass(frozen=True)
class Ground:
    """What mutations may draw from.

    ``library`` holds role files by name, ``groups`` the target's knob groups, ``population`` the organizations whose
    members may be taken over. ``measured`` holds organizations with their gains (bpb), ``pending`` those that are
    being measured; the parametric mutation learns from both. ``evidence`` is what the journals say of an
    organization's roles, by the organization's digest.
    """

    library: Mapping[str, RoleFile]
    groups: tuple[str, ...]
    population: tuple[OrgFile, ...] = ()
    measured: tuple[tuple[OrgFile, float], ...] = ()
    pending: tuple[OrgFile, ...] = ()
    evidence: Mapping[str, Evidence] = field(default_factory=dict)


@dataclass(frozen=True)
class Mutated:
    """A child that can be run: ``operator`` is the mutation's name, ``change`` says in one line what is different.

    The child bears its parent's name until :func:`metaloop.files.org_file.write_files` gives it a folder. ``cost`` is
    what making it cost: nothing, unless a model was asked.
    """

    organization: OrgFile
    operator: str
    change: str
    cost: Cost = FREE


class Mutation(Protocol):
    """Makes a child of one parent. Everything random comes from ``rng``: the same arguments give the same child."""

    @property
    def name(self) -> str:
        """Unique among the operators of :mod:`metaloop.meta.mutations.registry`."""
        ...

    def apply(self, parent: OrgFile, ground: Ground, rng: random.Random) -> Mutated | None:
        """A valid child, or ``None`` where the mutation does not apply to this parent on this ground.

        Raises:
            OrgFileError: the parent's ORG.md is laid out so that it cannot be edited in place.
        """
        ...
