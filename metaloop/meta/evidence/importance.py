"""Which knobs mattered, over all organizations that were measured: Optuna's own importance evaluators.

PED-ANOVA asks how differently a gene is distributed among the best organizations and among all: Watanabe et al.,
"PED-ANOVA", IJCAI 2023, arXiv:2304.10255. Optuna's version is the conditional one (arXiv:2601.20800), so a gene that
only some organizations have is judged among these, and weighs as much as they do. It sees association only: what the
search itself drew more often where it had found good values looks important too. Beside it fANOVA (Hutter et al., ICML
2014), a forest's share of variance, for genes that all organizations have; it knows no conditional ones.

With few organizations any gene looks important. So gains are shuffled among the organizations, and each gene has the p
value of "it has nothing to do with the gain": how often a shuffle gave it as large a share (Phipson and Smyth,
Statistical Applications in Genetics and Molecular Biology 9, 2010: the unshuffled order counts as one of them).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from metaloop.files.org_record import OrgFile
from metaloop.meta.mutations.parametric import as_trial, genome
from metaloop.vocabulary.seeds import derive, numpy_stream
from metaloop.vocabulary.space import Value

if TYPE_CHECKING:
    import optuna
    from optuna.importance import BaseImportanceEvaluator
    from optuna.trial import FrozenTrial

LEAST_TOP = 5
"""Organizations among the best, at least: Optuna's documentation asks for five for a stable result."""
TOP_SHARE = 0.1
"""Share of the organizations that counts as the best, where that is at least :data:`LEAST_TOP` (Optuna's default)."""
LEAST_TRIALS = 4 * LEAST_TOP
"""Fewer organizations say nothing: the best would be more than a quarter of all."""
SHUFFLES = 99
"""Shuffles of the gains: the least p value is 0.01."""
SIGNIFICANCE = 0.05


class GeneImportance(msgspec.Struct, frozen=True):
    """One gene. ``present`` organizations have it, with ``values`` different values.

    ``ped_anova`` is its share of the importance of all genes, ``chance`` the share that shuffled gains gave it on
    average, ``p_value`` how often they gave it as much. ``fanova`` is its share of the variance that a forest
    explains, ``None`` where not every organization has the gene.
    """

    gene: str
    present: int
    values: int
    ped_anova: float
    chance: float
    p_value: float
    fanova: float | None


class Importance(msgspec.Struct, frozen=True):
    """The genes, the most important first; none where ``trials`` organizations are too few, and ``remark`` says so.

    ``top`` is how many of them counted as the best. Genes that hold one value everywhere are left out.
    """

    trials: int
    top: int
    genes: tuple[GeneImportance, ...]
    remark: str


def importance(measured: Sequence[tuple[OrgFile, float]], seed: int) -> Importance:
    """The importance of every gene over measured organizations with their gains (bpb, larger is better).

    ``seed`` fixes the shuffles and fANOVA's forest. Whether a member is there at all is no gene, so it has no
    importance here; see the ablation and the credits for that.
    """
    n, top = len(measured), max(LEAST_TOP, round(TOP_SHARE * len(measured)))
    if n < LEAST_TRIALS:
        said = f"{n} measured organizations say nothing about importance; it takes {LEAST_TRIALS}."
        return Importance(n, 0, (), said)
    held = _varied([organization for organization, _ in measured])
    if not held or len({gain for _, gain in measured}) == 1:
        what = "All organizations gained the same" if held else "No gene ever varied"
        return Importance(n, top, (), f"{what}, so nothing can be said about importance.")
    study, gains = _study(measured, list(held)), [gain for _, gain in measured]
    shares, (chance, p_values) = _ped_anova(study, gains, top), _by_chance(study, gains, top, seed)
    fanova = _fanova(study, [name for name in held if None not in held[name]], seed)
    genes = [
        GeneImportance(
            gene=name,
            present=sum(value is not None for value in values),
            values=len(set(values) - {None}),
            ped_anova=shares[name],
            chance=chance[name],
            p_value=p_values[name],
            fanova=fanova.get(name),
        )
        for name, values in held.items()
    ]
    beyond = sum(gene.p_value <= SIGNIFICANCE for gene in genes)
    said = f"{beyond} of {len(genes)} genes have p ≤ {SIGNIFICANCE}; by chance {SIGNIFICANCE * len(genes):.1f} would."
    return Importance(n, top, tuple(sorted(genes, key=lambda gene: (-gene.ped_anova, gene.gene))), said)


def _varied(organizations: Sequence[OrgFile]) -> dict[str, list[Value | None]]:
    """What every organization holds of each gene that varied, by the gene's name; ``None`` where it lacks the gene."""
    genomes = [genome(organization) for organization in organizations]
    names = sorted({name for genes in genomes for name in genes})
    held = {name: [genes[name].value if name in genes else None for genes in genomes] for name in names}
    return {name: values for name, values in held.items() if len(set(values) - {None}) > 1}


def _study(measured: Sequence[tuple[OrgFile, float]], names: Sequence[str]) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    genes = [gene for organization, _ in reversed(measured) for gene in genome(organization).values()]
    first = {gene.name: gene.knob for gene in genes}  # of the first organization that has the gene
    knobs = {name: first[name] for name in names}
    study.add_trials([as_trial(organization, knobs, gain) for organization, gain in measured])
    return study


def _ped_anova(study: optuna.Study, gains: Sequence[float], top: int) -> dict[str, float]:
    """Each gene's share of the importance of all, with these gains for the trials in their order."""
    from optuna.importance import PedAnovaImportanceEvaluator

    evaluator = PedAnovaImportanceEvaluator(target_quantile=top / len(gains))
    # With a target of one's own, the evaluator takes low values for good ones.
    return _evaluate(study, evaluator, None, lambda trial: -gains[trial.number])


def _fanova(study: optuna.Study, names: list[str], seed: int) -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator

    forest = FanovaImportanceEvaluator(seed=derive(seed, "fanova") % 2**32)
    return _evaluate(study, forest, names, None) if names else {}


def _evaluate(
    study: optuna.Study,
    evaluator: BaseImportanceEvaluator,
    names: list[str] | None,
    target: Callable[[FrozenTrial], float] | None,
) -> dict[str, float]:
    from optuna.importance import get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # genes that one organization alone has (they come out as 0); the target's sense
        shares = get_param_importances(study, evaluator=evaluator, params=names, target=target)
    return {name: float(share) for name, share in shares.items()}


def _by_chance(
    study: optuna.Study, gains: Sequence[float], top: int, seed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Mean share of every gene under shuffled gains, and its p value."""
    rng = numpy_stream(seed, "importance")
    real = _ped_anova(study, gains, top)
    total, reached = dict.fromkeys(real, 0.0), dict.fromkeys(real, 1)
    for _ in range(SHUFFLES):
        for name, share in _ped_anova(study, rng.permutation(list(gains)).tolist(), top).items():
            total[name] += share / SHUFFLES
            reached[name] += share >= real[name]
    return total, {name: count / (SHUFFLES + 1) for name, count in reached.items()}
