"""Parametric mutation: every typed value of an organization as an Optuna distribution, from the schema that checks it.

Which values there are depends on who is a member, and so does what an organization of the population can teach about
them. Optuna's multivariate TPE with ``group`` takes that apart: values that occur together are drawn together.
Source: Watanabe, "Tree-structured Parzen estimator", arXiv:2304.11127. Unlike an ordinary study, each draw looks at a
few values only, the rest being the parent's; the model is then made of these few alone, as the joint model of all
would choose for the sake of values that nobody draws.
"""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from metaloop.brains.optuna_space import distribution
from metaloop.files.markdown import Keys
from metaloop.files.org_file import ORG_SPACE, OrgFile, keys_of
from metaloop.files.org_space import MEMBER_SPACE
from metaloop.files.policies import POLICIES, is_read
from metaloop.files.role_file import effective_policy
from metaloop.meta.mutations.describe import describe
from metaloop.meta.mutations.draft import Draft
from metaloop.meta.mutations.operator import Ground, Mutated
from metaloop.vocabulary.space import Knob, Value

if TYPE_CHECKING:
    import optuna

STARTUP = 4
"""Measured organizations before TPE is trusted over random draws."""
MOST_DRAWS = 20
"""Draws until one differs from the parent."""
LEAST_SECONDS = 0.01
"""Shortest stand-up that is drawn (s)."""


@dataclass(frozen=True)
class Gene:
    """One mutable value of an organization: where it stands in ORG.md, its schema, what it holds."""

    name: str
    keys: Keys
    knob: Knob
    value: Value


def genome(organization: OrgFile) -> dict[str, Gene]:
    """Every scalar that parametric mutation may change, by a name that says whose it is.

    Names stay the same when other members come and go: ``local-proposer: boldness`` of the first entry of that role,
    ``local-proposer #2: boldness`` of the second. What a policy's strategy never looks at is not in it, nor a
    scout, whose finds no simulated world knows. Whether
    there are stand-ups or integrations at all, sharing, branching and the inbox are matters of structure.
    """
    return {gene.name: gene for gene in (*_member_genes(organization), *_setting_genes(organization))}


def _member_genes(organization: OrgFile) -> Iterator[Gene]:
    seen: Counter[str] = Counter()
    for index, entry in enumerate(organization.members):
        seen[entry.role] += 1
        label = entry.role if seen[entry.role] == 1 else f"{entry.role} #{seen[entry.role]}"
        kind = organization.kind(entry)
        if kind == "scout":
            continue
        if kind != "director":
            count = MEMBER_SPACE["count"]
            yield Gene(f"{label}: count", ("members", index, "count"), count, entry.count)
        policy = effective_policy(organization.roles[entry.role], entry.policy)
        for knob in POLICIES[kind]:
            value = policy[knob.name]
            if is_read(kind, knob.name, policy, code=organization.edits_code) and not isinstance(value, tuple):
                yield Gene(f"{label}: {knob.name}", ("members", index, "policy", knob.name), knob, value)


def _setting_genes(organization: OrgFile) -> Iterator[Gene]:
    kinds = Counter(dict.fromkeys(POLICIES, 0))
    for entry in organization.members:
        kinds[organization.kind(entry)] += entry.count
    proposers, reviewers = kinds["proposer"], kinds["reviewer"]
    for knob in ORG_SPACE:
        value = organization.settings[knob.name]
        if knob.name == "cadence.lookahead" or (knob.name == "turns" and proposers > 1):
            yield Gene(knob.name, keys_of(knob), knob, value)
        elif knob.name == "quorum" and reviewers:
            most = min(reviewers, int(knob.high or 0))
            # Its own name for every range: to Optuna 2 of 2 and 2 of 9 are different questions.
            legal = msgspec.structs.replace(knob, high=float(most))
            yield Gene(f"quorum of {reviewers}", keys_of(knob), legal, value)
        elif knob.group == "cadence" and value >= _least(knob):
            by_ratio = msgspec.structs.replace(knob, low=_least(knob), log=True)
            yield Gene(knob.name, keys_of(knob), by_ratio, value)


def _least(knob: Knob) -> float:
    """The least value of a cadence that is kept: zero would end it, and has no place on a log scale."""
    return 1.0 if knob.kind == "int" else LEAST_SECONDS


def mutate(organization: OrgFile, values: Mapping[str, Value]) -> OrgFile:
    """The organization with these genes set (those that already hold their value are not touched).

    A child is nobody's yardstick: ``control: true`` is not inherited. Its name changes when it is written. A quorum
    above the reviewers that are left comes down to their number.

    Raises:
        TrainerError: a value is not in its gene's range.
        OrgFileError: the result would not be valid.
    """
    return _edited(organization, values).finish()


def _edited(organization: OrgFile, values: Mapping[str, Value]) -> Draft:
    genes = genome(organization)
    draft = Draft.of(organization)
    for name, value in values.items():
        gene = genes[name]
        if gene.value != value:
            draft = draft.put(gene.keys, gene.knob.check(value))
    return draft


def draw(
    genes: Sequence[Gene], measured: Sequence[tuple[OrgFile, float]], pending: Sequence[OrgFile], rng: random.Random
) -> dict[str, Value]:
    """New values for these genes by TPE; those that came out as they were are left out.

    ``measured`` are organizations with their gains (bpb, larger is better): the warm start. ``pending`` are those
    on their way, which count as bad until they are known (constant liar), so that siblings differ.
    """
    study = _study(rng.getrandbits(32), {gene.name: gene.knob for gene in genes}, measured, pending)
    trial = study.ask({gene.name: distribution(gene.knob) for gene in genes})
    drawn = {gene.name: _rounded(gene.knob, trial.params[gene.name]) for gene in genes}
    return {gene.name: drawn[gene.name] for gene in genes if drawn[gene.name] != gene.value}


def _study(
    seed: int, knobs: Mapping[str, Knob], measured: Sequence[tuple[OrgFile, float]], pending: Sequence[OrgFile]
) -> optuna.Study:
    study = _empty_study(seed, group=True)
    study.add_trials([as_trial(organization, knobs, gain) for organization, gain in measured])
    study.add_trials([as_trial(organization, knobs, None) for organization in pending])
    return study


def _empty_study(seed: int, group: bool) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=STARTUP,
            multivariate=True,
            group=group,
            constant_liar=True,
        )
    return optuna.create_study(direction="maximize", sampler=sampler)


def draw_subsets(
    names: Sequence[str], measured: Sequence[tuple[frozenset[str], float]], draws: int, rng: random.Random
) -> Iterator[frozenset[str]]:
    """Subsets of ``names`` by TPE, from subsets that were measured, with their gains (bpb, larger is better)."""
    import optuna

    present: dict[str, optuna.distributions.BaseDistribution] = dict.fromkeys(
        names, optuna.distributions.CategoricalDistribution((False, True))
    )
    study = _empty_study(rng.getrandbits(32), group=False)
    for subset, gain in measured:
        params = {name: name in subset for name in names}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=present, value=gain))
    for _ in range(draws):
        drawn = study.ask(present).params
        yield frozenset(name for name in names if drawn[name])


def as_trial(organization: OrgFile, knobs: Mapping[str, Knob], gain: float | None) -> optuna.trial.FrozenTrial:
    """What an organization says about these genes, as a trial of a study that maximizes the gain (bpb).

    Genes that it lacks are absent, as are those of a role that has the name but is of another kind. Without a gain it
    is one that is still running.
    """
    import optuna

    states, genes = optuna.trial.TrialState, genome(organization)
    present = {name: genes[name] for name, knob in knobs.items() if name in genes and genes[name].knob == knob}
    return optuna.trial.create_trial(
        state=states.RUNNING if gain is None else states.COMPLETE,
        params={name: gene.value for name, gene in present.items()},
        distributions={name: distribution(gene.knob) for name, gene in present.items()},
        value=gain,
    )


def _rounded(knob: Knob, value: Value) -> Value:
    """Four significant digits: a diff should be readable, and no policy is sharper than that."""
    return knob.from_unit(knob.to_unit(value)) if knob.kind == "float" else value


@dataclass(frozen=True)
class Parametric:
    """Draws up to ``most`` values of the parent anew."""

    most: int
    name: str = "parametric"

    def apply(self, parent: OrgFile, ground: Ground, rng: random.Random) -> Mutated | None:
        genes = genome(parent)
        for _ in range(MOST_DRAWS):
            chosen = rng.sample(sorted(genes), rng.randint(1, min(self.most, len(genes))))
            values = draw([genes[name] for name in chosen], ground.measured, ground.pending, rng)
            draft = _edited(parent, values)
            if values and not draft.names_clash():
                child = draft.finish()
                return Mutated(child, self.name, describe(parent, child, draft.origin))
        return None
