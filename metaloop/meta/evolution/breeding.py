"""Who the children of a generation are: parents drawn among the elite, mutations drawn by kind.

Everything random comes from a stream named after the generation and the child's number, so the same terms over the same
scores breed the same children, whether the evolution was interrupted or not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from metaloop.files.org_record import OrgFile
from metaloop.meta.evolution.terms import Born, EvolutionTerms
from metaloop.meta.mutations.null import NULL
from metaloop.meta.mutations.operator import Ground, Mutated, Mutation
from metaloop.vocabulary.errors import OrgFileError
from metaloop.vocabulary.records import Cost
from metaloop.vocabulary.seeds import python_stream

KIND_SHARES: Mapping[str, float] = {"parametric": 0.4, "change focus": 0.15, "rewrite prose": 0.15}
"""How often a kind of mutation is drawn; what is left is shared by the other structural ones and crossover alike. Where
proposers look is drawn more often, as it was found to pay most by far (docs/LOG.md, 2026-11-25)."""
CHAMPION_SHARE = 0.6
"""How often the champion is the parent; else one of the elite."""
MOST_STEPS = 3
"""Mutations that make one child: mostly one, so that its race says what that one was worth."""
STEP_SHARES = (0.6, 0.3, 0.1)
MOST_TRIES = 30
"""Draws before a place in the population stays empty."""


@dataclass(frozen=True)
class Offspring:
    """A child with its birth record; the organization bears its parent's name until it is written."""

    born: Born
    organization: OrgFile


def breed(
    elite: Sequence[OrgFile], ground: Ground, mutations: Sequence[Mutation], terms: EvolutionTerms, generation: int
) -> list[Offspring]:
    """The children of a generation, at most ``terms.population``, all different from each other and from the elite.

    ``elite`` has the champion first. The null mutation is every race's control anyway, and is not drawn.
    Children with more than ``terms.most_members`` members are not kept.
    """
    known = {organization.digest for organization in elite}
    mutations = [mutation for mutation in mutations if mutation.name != NULL]
    children: list[Offspring] = []
    for place in range(terms.population):
        rng = python_stream(terms.seed, "breed", generation, place)
        siblings = replace(ground, pending=tuple(child.organization for child in children))
        found = _conceive(elite, siblings, mutations, rng, lambda o: _fits(o, known, terms.most_members))
        if found is not None:
            parent, new = found
            known.add(new.organization.digest)
            name = f"{terms.name}-g{generation}-{place + 1}"
            born = Born(name, parent.name, new.operator, new.change, generation, new.cost)
            children.append(Offspring(born, new.organization))
    return children


def _fits(organization: OrgFile, known: set[str], most_members: int) -> bool:
    members = sum(entry.count for entry in organization.members)
    return members <= most_members and organization.digest not in known


def _conceive(
    elite: Sequence[OrgFile],
    ground: Ground,
    mutations: Sequence[Mutation],
    rng: random.Random,
    fits: Callable[[OrgFile], bool],
) -> tuple[OrgFile, Mutated] | None:
    for _ in range(MOST_TRIES):
        alone = len(elite) == 1 or rng.random() < CHAMPION_SHARE
        parent = elite[0] if alone else rng.choice(elite[1:])
        mutated = _mutated(parent, ground, mutations, rng)
        if mutated is not None and fits(mutated.organization):
            return parent, mutated
    return None


def _mutated(parent: OrgFile, ground: Ground, mutations: Sequence[Mutation], rng: random.Random) -> Mutated | None:
    """One to :data:`MOST_STEPS` mutations in a row, as one; ``None`` where the first does not apply."""
    steps = rng.choices(range(1, MOST_STEPS + 1), STEP_SHARES)[0]
    done: list[Mutated] = []
    for _ in range(steps):
        base = done[-1].organization if done else parent
        try:
            mutated = _drawn(mutations, rng).apply(base, ground, rng)
        except OrgFileError:  # laid out so that this place cannot be edited
            mutated = None
        if mutated is not None:
            done.append(mutated)
    if not done:
        return None
    costs = [each.cost for each in done]
    total = Cost(sum(c.seconds for c in costs), sum(c.tokens for c in costs), sum(c.usd for c in costs))
    operator = " + ".join(each.operator for each in done)
    return Mutated(done[-1].organization, operator, "; ".join(each.change for each in done), total)


def _drawn(mutations: Sequence[Mutation], rng: random.Random) -> Mutation:
    named = [KIND_SHARES.get(mutation.name, 0.0) for mutation in mutations]
    others = sum(share == 0.0 for share in named)
    rest = max(0.0, 1.0 - sum(named)) / max(1, others)
    return rng.choices(list(mutations), [share or rest for share in named])[0]
