"""Chains of mutations: children of children of children, every kind tried on each."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from metaloop.files.org_file import OrgFile
from metaloop.meta.mutations.operator import Ground, Mutated, Mutation
from metaloop.vocabulary.seeds import python_stream
from tests.mutated import (
    MUTATIONS,
    PARENTS,
    SHIPPED,
    check_review,
    check_told,
    check_valid,
    ground_of,
)

DEEPEST = 12
"""Generations of the longest chain."""
REVIEWED = 10
"""Of so many children one is made again and has its diff read line by line."""
MOST_MEMBERS = 200
"""Counts multiply along a chain; beyond this a child has no children."""


@dataclass
class Tally:
    """What came of one kind of mutation. ``seconds`` is the CPU time of making children, checks left out."""

    tried: int = 0
    applied: int = 0
    refused: int = 0
    seconds: float = 0.0
    invalid: list[str] = field(default_factory=list)


def chains(each: int, seed: int) -> Iterator[dict[str, Tally]]:
    """Go on until every kind was applied ``each`` times; yields the tallies after every chain."""
    tallies = {mutation.name: Tally() for mutation in MUTATIONS}
    evolved: list[OrgFile] = []
    number = 0
    while any(tally.applied < each for tally in tallies.values()):
        rng = python_stream(seed, "mutation chain", number)
        parent = list(PARENTS.values())[number % len(PARENTS)]
        for generation in range(rng.randint(1, DEEPEST)):
            ground = ground_of(parent, (*SHIPPED.values(), *evolved[-3:]))
            where = f"seed {seed}, chain {number}, generation {generation}"
            children = _children(parent, ground, rng, tallies, each, where)
            if not children:
                break
            parent = rng.choice(children)
            if sum(entry.count for entry in parent.members) > MOST_MEMBERS:
                break
        evolved.append(parent)
        number += 1
        yield tallies


def _children(
    parent: OrgFile, ground: Ground, rng: random.Random, tallies: dict[str, Tally], each: int, where: str
) -> list[OrgFile]:
    """Children of every kind that is not through yet, and of one other, read back from where they were written."""
    also = rng.choice(MUTATIONS)
    children: list[OrgFile] = []
    for mutation in MUTATIONS:
        tally, seed = tallies[mutation.name], rng.getrandbits(32)
        if tally.applied >= each and mutation is not also:
            continue
        try:
            child = _child(mutation, parent, ground, seed, tally)
        except Exception as fault:
            tally.invalid.append(f"{where}, {mutation.name}, rng {seed}: {type(fault).__name__}: {str(fault)[:300]}")
            continue
        if child is not None:
            children.append(child)
    return children


def _child(mutation: Mutation, parent: OrgFile, ground: Ground, seed: int, tally: Tally) -> OrgFile | None:
    tally.tried += 1
    start = time.process_time()
    mutated: Mutated | None = mutation.apply(parent, ground, random.Random(seed))
    tally.seconds += time.process_time() - start
    if mutated is None:
        tally.refused += 1
        return None
    tally.applied += 1
    check_told(mutation, parent, mutated)
    if tally.applied % REVIEWED == 1:
        check_review(mutation, parent, mutated, ground, seed)
    return check_valid(mutated)


def table(tallies: dict[str, Tally]) -> str:
    """The tallies, one line a kind."""
    lines = [f"{'mutation':<18}{'tried':>9}{'applied':>9}{'refused':>9}{'invalid':>9}{'CPU us':>9}"]
    for name, tally in tallies.items():
        each = 1e6 * tally.seconds / max(1, tally.tried)
        counts = (tally.tried, tally.applied, tally.refused, len(tally.invalid))
        lines.append(f"{name:<18}" + "".join(f"{count:>9}" for count in counts) + f"{each:>9.0f}")
    return "\n".join(lines)
