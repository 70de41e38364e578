"""The meta-loop in its first form: children with mutated policies race their parent on real org runs.

A generation is an ordinary run: the elite of the last one, run again, beside its children, all on the same fresh
org-run seeds. The child with the best confirmed gain on the ``holdout`` split becomes the elite if it beats the
elite there; what is reported is the gain on ``confirm``, on which nothing was selected (the winner's curse).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import msgspec

from metaloop.actors.state import replay
from metaloop.files import journal
from metaloop.files.org_file import OrgFile, read_organization
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, RunTerms, read_lines
from metaloop.meta.confirmation import trunk_history
from metaloop.meta.mutations.parametric import Gene, draw, genome, mutate
from metaloop.vocabulary.seeds import derive, python_stream
from metaloop.vocabulary.space import Value

SELECTION_SPLIT = "holdout"
MOST_DRAWS = 50
"""Draws before a child that equals its parent is accepted as it is (it is then a null mutation)."""


class EvolutionTerms(msgspec.Struct, frozen=True):
    """What an evolution was asked to do. ``run`` holds the terms of every generation but its organizations."""

    parent: str
    name: str
    generations: int
    population: int
    mutations: int
    run: RunTerms


class Child(msgspec.Struct, frozen=True):
    """A member of a generation: its name, what was mutated against the elite of the last generation."""

    name: str
    values: dict[str, Value]


class Generation(msgspec.Struct, frozen=True):
    """One generation, measured: the gain (bpb, ``holdout``) of every organization in it, and who won."""

    number: int
    elite: str
    children: tuple[Child, ...]
    holdout_gains: dict[str, float | None]
    winner: str


class EvolutionFolder:
    """Paths of an evolution: ``evolution.json``, ``parent/``, ``generation-N/`` (a run's folder each), ``evolved/``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.terms = path / "evolution.json"
        self.lineage = path / "lineage.json"
        self.results = path / "results.json"

    def parent(self, name: str) -> Path:
        return self.path / "parent" / name

    def generation(self, number: int) -> RunFolder:
        return RunFolder(self.path / f"generation-{number}")

    def evolved(self, name: str) -> Path:
        return self.path / "evolved" / name


def generation_terms(terms: EvolutionTerms, number: int, organizations: tuple[str, ...], elite: str) -> RunTerms:
    """The terms of generation ``number`` (from 1): fresh org-run seeds, shared by all in it."""
    run = terms.run
    seed = run.seed + (number - 1) * run.seeds
    parents = {name: elite for name in organizations if name != elite}
    return msgspec.structs.replace(run, organizations=organizations, seed=seed, parents=parents)


def breed(elite: OrgFile, terms: EvolutionTerms, number: int, past: Sequence[tuple[OrgFile, float]]) -> list[Child]:
    """The children of generation ``number``: each has a few of the elite's genes drawn anew by Optuna's TPE.

    ``past`` holds the organizations measured so far with their gains, from which TPE learns.
    """
    seed = derive(terms.run.seed, "evolve", number)
    genes = _turned_here(elite)
    children: list[Child] = []
    pending: list[OrgFile] = []
    for index in range(terms.population):
        rng = python_stream(seed, "genes", index)
        for _ in range(MOST_DRAWS):
            chosen = rng.sample(sorted(genes), min(terms.mutations, len(genes)))
            values = draw([genes[name] for name in chosen], past, pending, rng)
            if values and all(values != child.values for child in children):
                break
        children.append(Child(f"{terms.name}-g{number}-{index + 1}", values))
        pending.append(mutate(elite, values))
    return children


def _turned_here(elite: OrgFile) -> dict[str, Gene]:
    """Policies and lookahead. Counts and cadences are left to the simulator: 64 members are as many processes here,
    and an hour's stand-up is an hour's wait."""
    genes = genome(elite)
    return {name: gene for name, gene in genes.items() if "policy" in gene.keys or name == "cadence.lookahead"}


def make_child(elite: OrgFile, child: Child) -> OrgFile:
    """The child's files."""
    return mutate(elite, child.values)


def judge(folder: RunFolder, number: int, elite: str, children: Sequence[Child]) -> Generation:
    """Who won a finished generation."""
    names = [elite, *(child.name for child in children)]
    gains = {name: holdout_gain(folder, name) for name in names}
    scored = [(gain, name) for name, gain in gains.items() if gain is not None]
    best = max(scored, default=(0.0, elite), key=lambda pair: pair[0])
    return Generation(number, elite, tuple(children), gains, best[1])


def holdout_gain(folder: RunFolder, name: str) -> float | None:
    """Mean gain over org runs and confirmation pairs on the split that steers; ``None`` where nothing has a score."""
    gains = [g for seed in folder.read_terms().org_run_seeds for g in _pair_gains(folder.org_run(name, seed))]
    return fmean(gains) if gains else None


def _pair_gains(folder: OrgRunFolder) -> list[float]:
    """Baseline minus final trunk on :data:`SELECTION_SPLIT`, by pair; a pair without both scores is left out."""
    events = journal.read(folder.journal)
    trunk = trunk_history(events, replay(events).root)
    confirmations = read_lines(folder.confirmations, Confirmation)
    scores = {(c.commit, c.pair): c.bpb[SELECTION_SPLIT] for c in confirmations if SELECTION_SPLIT in c.bpb}
    first, last = trunk[0][0], trunk[-1][0]
    pairs = sorted({pair for _, pair in scores})
    return [scores[first, p] - scores[last, p] for p in pairs if (first, p) in scores and (last, p) in scores]


def load_elite(folder: EvolutionFolder, terms: EvolutionTerms, generations: Sequence[Generation]) -> OrgFile:
    """The organization that the next generation descends from."""
    if not generations:
        return read_organization(folder.parent(terms.parent))
    last = generations[-1]
    return read_organization(folder.generation(last.number).organizations / last.winner)
