"""The loop: opening, generations of races in the simulator, real rungs, confirmation.

A generation's race runs on fresh org-run seeds, which the champion and the elite run again too: what an organization
owed to the seeds that it was born on is gone before it is a parent. A child becomes champion only if the race accepts
it; who was merely lucky on average stays among the elite with a score that is shrunk for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from metaloop.files.org_record import OrgFile
from metaloop.meta.evolution.breeding import breed
from metaloop.meta.evolution.races import inner_terms, real_terms, run_flat, run_race
from metaloop.meta.evolution.standing import Levels, opening_levels
from metaloop.meta.evolution.terms import (
    CONFIRMATION,
    HALF,
    OPENING,
    Born,
    EvolutionTerms,
    Measure,
    RaceRecord,
    Rung,
    Scores,
)
from metaloop.meta.mutations.evidence import Evidence
from metaloop.meta.mutations.null import Null
from metaloop.meta.mutations.operator import Ground, Mutation
from metaloop.meta.mutations.twin import twin
from metaloop.meta.racing.race import RaceState, survivors, verdict
from metaloop.meta.racing.terms import RaceTerms
from metaloop.vocabulary.errors import BudgetSpent
from metaloop.vocabulary.seeds import python_stream

ELITE = 4
"""Organizations that parents are drawn from, the champion among them."""


class Watcher(Protocol):
    """Is told what happens, to show it."""

    def stage(self, text: str) -> None:
        """Something begins, or is worth a line."""
        ...

    def born(self, born: Born) -> None:
        """An organization has joined."""
        ...

    def look(self, stage: str, state: RaceState) -> None:
        """A race was looked at."""
        ...

    def raced(self, record: RaceRecord) -> None:
        """A race has ended."""
        ...


class Nursery(Protocol):
    """Where children are written."""

    def __call__(self, name: str, child: OrgFile) -> OrgFile:
        """The child as read back from a folder of its name; the same again where it stands already."""
        ...


def no_evidence(*_: object) -> Evidence:
    """Nothing speaks against anybody: prose is not rewritten."""
    return {}


@dataclass
class Evolution:
    """One evolution under way: :meth:`run` fills in the rest.

    ``organizations`` holds everyone that was ever in it, by name. ``parent`` is the best of those it started from,
    ``winner`` what is handed over (the parent, where no child was better). ``ran_out`` says that the GPU-hours, or what
    may be thought for, were spent before all was done. ``witness`` says what speaks against an organization's
    roles in its org runs on seeds below a given one.
    """

    terms: EvolutionTerms
    organizations: dict[str, OrgFile]
    ground: Ground
    mutations: Sequence[Mutation]
    measure: Measure
    nursery: Nursery
    watcher: Watcher
    lineage: list[Born] = field(default_factory=list)
    races: list[RaceRecord] = field(default_factory=list)
    scores: dict[str, Scores] = field(default_factory=dict)
    parent: str = ""
    winner: str = ""
    ran_out: bool = False
    witness: Callable[[OrgFile, int], Evidence] = no_evidence

    def run(self) -> None:
        """From the opening to the confirmation.

        Raises:
            BudgetSpent: before the opening was over, so that there is nobody to hand over.
        """
        levels = self._open()
        try:
            for generation in range(1, self.terms.generations + 1):
                self._generation(generation, levels)
            self.winner = self._climb(levels)
            self._confirm()
        except BudgetSpent as spent:
            self.ran_out = True
            self.winner = self.winner or levels.champion
            self.watcher.stage(str(spent))

    def _open(self) -> Levels:
        """Everyone that was given runs on the same seeds; the best is the first champion, and everybody's parent."""
        terms = self.terms
        for name in terms.seeds:
            self._note(Born(name, "", "given", "", 0))
        seeds = [self._first_seed(0) + block for block in range(terms.opening_blocks)]
        self._flat(OPENING, seeds, terms.seeds)
        levels = opening_levels(self.scores[OPENING].scores)
        self.parent = levels.champion
        return levels

    def _generation(self, generation: int, levels: Levels) -> None:
        """One race of children and elite against the champion, simulated."""
        elite = [self.organizations[name] for name in levels.best(ELITE)]
        before = self._first_seed(generation)
        evidence = {organization.digest: self.witness(organization, before) for organization in elite}
        ground = replace(
            self.ground, population=self._donors(elite), measured=self._measured(levels), evidence=evidence
        )
        bred = breed(elite, ground, self.mutations, self.terms, generation)
        children = [self._admit(child.born, child.organization) for child in bred]
        challengers = (*children, *(o.name for o in elite[1:]))
        if not challengers:
            return
        twins = self._twins(levels.champion, generation)
        race = inner_terms(self.terms.inner, levels.champion, challengers, self.terms.controls, twins)
        state = self._race(race, self.terms.inner, generation, self._first_seed(generation))
        levels.learn(state)

    def _climb(self, levels: Levels) -> str:
        """The best of the simulated rung race their parent on real trainings, rung by rung; who is handed over."""
        finalists = [name for name in levels.best(len(levels.level)) if name not in self.terms.seeds]
        for rung in self.terms.rungs:
            finalists = finalists[: rung.entrants]
            if not finalists:
                return self.parent
            self.watcher.stage(f"rung {rung.name}: {', '.join(finalists)} against {self.parent}")
            twins = self._twins(self.parent, 0)
            race = real_terms(rung, self.terms.training_s, self.parent, tuple(finalists), self.terms.controls, twins)
            state = self._race(race, rung, 0, rung.run.seed)
            if state.accepted is not None:
                return state.accepted
            finalists = list(survivors(state))
        return finalists[0] if finalists else self.parent

    def _confirm(self) -> None:
        """Fresh seeds, data that nothing was selected on: the winner beside its parent and the controls, and the winner
        again with half of the GPU-hours."""
        seeds = self.terms.confirmation.org_run_seeds
        self._flat(CONFIRMATION, seeds, self._compared())
        self._flat(HALF, seeds, [self.winner])

    def _compared(self) -> list[str]:
        return list(dict.fromkeys([self.winner, self.parent, *self.terms.final_controls]))

    # Parts -----------------------------------------------------------------------------------------------------

    def _flat(self, stage: str, seeds: Sequence[int], names: Iterable[str]) -> None:
        names = list(names)
        self.watcher.stage(f"{stage}: {', '.join(names)} on {len(seeds)} seeds")
        organizations = {name: self.organizations[name] for name in names}
        self.scores[stage] = Scores(stage, tuple(seeds), run_flat(stage, seeds, organizations, self.measure))

    def _race(self, race: RaceTerms, rung: Rung, generation: int, first_seed: int) -> RaceState:
        state = run_race(
            race,
            rung,
            first_seed,
            self.organizations,
            self.measure,
            lambda looked: self.watcher.look(rung.name, looked),
        )
        best = next(iter(survivors(state)), race.champion)
        winner = state.accepted or (race.champion if rung.inner else best)
        record = RaceRecord(rung.name, generation, race.champion, winner, verdict(state))
        self.races.append(record)
        self.watcher.raced(record)
        return state

    def _twins(self, champion: str, generation: int) -> tuple[str, ...]:
        """The champion under another name with its own luck, and under another name with the same."""
        original, prefix = self.organizations[champion], f"{self.terms.name}-g{generation}"
        null = Null().apply(original, self.ground, python_stream(self.terms.seed, "null", generation))
        a_a = Born(f"{prefix}-twin", champion, "twin", "every role renamed: an A/A control", generation)
        none = Born(f"{prefix}-null", champion, "null", null.change, generation)
        return self._admit(a_a, twin(original)), self._admit(none, null.organization)

    def _admit(self, born: Born, organization: OrgFile) -> str:
        if born.name not in self.organizations:
            self.organizations[born.name] = self.nursery(born.name, organization)
            self._note(born)
        return born.name

    def _note(self, born: Born) -> None:
        self.lineage.append(born)
        self.watcher.born(born)

    def _donors(self, elite: Sequence[OrgFile]) -> tuple[OrgFile, ...]:
        """Whose members may be taken over: the elite's, and those of everyone that was given, controls included."""
        given = [self.organizations[name] for name in (*self.terms.seeds, *self.terms.controls)]
        return tuple({o.digest: o for o in (*elite, *given)}.values())

    def _measured(self, levels: Levels) -> tuple[tuple[OrgFile, float], ...]:
        return tuple((self.organizations[name], level) for name, level in levels.level.items())

    def _first_seed(self, generation: int) -> int:
        """Org-run seeds of a generation's blocks; generation 0 is the opening."""
        run = self.terms.inner.run
        return run.seed + generation * max(self.terms.inner.most, self.terms.opening_blocks)
