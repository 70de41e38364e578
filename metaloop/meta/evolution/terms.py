"""The records of an evolution: what was asked, who was born, what org runs scored, how races ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from metaloop.files.org_record import OrgFile
from metaloop.files.run_folder import RunTerms
from metaloop.meta.racing.terms import Verdict
from metaloop.vocabulary.models import UNLIMITED, Allowance
from metaloop.vocabulary.records import Cost

INNER = "inner"
"""The rung that children are bred on."""
OPENING, CONFIRMATION, HALF, UNSEEN = "opening", "confirmation", "half", "unseen"
"""Stages that are no races: everybody runs on the same number of fresh seeds."""
SIMULATED, VARIANTS = "simulated", "variants"
"""Stages that are run for the evidence alone."""
SELECTION_SPLIT = "holdout"
"""The split that races look at. What is reported is scored on ``confirm``, on which nothing was selected."""


class Rung(msgspec.Struct, frozen=True):
    """A budget level. ``run`` says what an org run is on it; ``entrants`` challengers enter, ``least`` to ``most``
    blocks (fresh org-run seeds) are raced, controls in the first ``control_blocks`` of them."""

    name: str
    run: RunTerms
    entrants: int
    least: int
    most: int
    control_blocks: int
    alpha: float

    @property
    def inner(self) -> bool:
        """Whether it is the rung that children are bred on; its org runs are counted, and cost no GPU-hours."""
        return self.name == INNER


class EvolutionTerms(msgspec.Struct, frozen=True):
    """What an evolution was asked to do; written before anything starts, never changed.

    ``seeds`` are the organizations it starts from, ``controls`` the yardsticks of every race, ``final_controls``
    those that can gain anything and are therefore confirmed beside the winner. ``inner`` is the simulated rung on
    which ``generations`` of ``population`` children are raced, ``rungs`` those that finalists climb. ``confirmation``
    and ``unseen`` say how the winner is measured at the end, ``final_blocks`` and ``unseen_blocks`` on how many fresh
    seeds. Children have at most ``most_members`` members, as each is a process on a real cluster. ``training_s`` is
    what a real training usually takes, for the plan. ``lanes`` real org runs go on side by side, and ``processes``
    work on simulated ones. ``max_gpu_hours`` is hard: of real device time, confirmation included.
    """

    name: str
    seeds: tuple[str, ...]
    controls: tuple[str, ...]
    final_controls: tuple[str, ...]
    generations: int
    population: int
    opening_blocks: int
    inner: Rung
    rungs: tuple[Rung, ...]
    confirmation: RunTerms
    final_blocks: int
    unseen: RunTerms
    unseen_blocks: int
    most_members: int
    lanes: int
    processes: int
    training_s: float
    max_gpu_hours: float
    dollars_per_gpu_hour: float
    seed: int
    command: str
    version: str
    rewriter: str = ""
    """The model that rewrites prose; empty: nobody does."""
    total_allowance: Allowance = UNLIMITED
    """What thinking may cost over everything: org runs of all stages, rewritings, and the evidence."""


class Born(msgspec.Struct, frozen=True):
    """A child: whose, by which mutation, and what changed, in one line. Seed organizations have no parent."""

    name: str
    parent: str
    operator: str
    change: str
    generation: int
    cost: Cost = Cost()


class Request(NamedTuple):
    """An org run to be measured: ``stage`` names the rung or stage whose terms it is run on."""

    stage: str
    name: str
    seed: int


class Measured(msgspec.Struct, frozen=True):
    """What an org run came to, and what it cost: the organization's GPU-hours, and the harness's to confirm it.

    ``score`` is its gain (bpb, baseline − trunk on the stage's split), ``None`` if trunk failed on a fresh seed, or
    nothing could be scored. ``digest`` is the organization's, so that a result is never taken for one of another text
    of the same name. ``real`` says that the GPU-hours were of devices, not of the simulator.
    """

    stage: str
    name: str
    seed: int
    digest: str
    score: float | None
    gpu_hours: float
    harness_gpu_hours: float
    tokens: int
    usd: float
    real: bool

    @property
    def request(self) -> Request:
        return Request(self.stage, self.name, self.seed)


class Measure(Protocol):
    """Runs organizations. What was measured before is not run again."""

    def __call__(self, organizations: Mapping[str, OrgFile], requests: Sequence[Request]) -> Iterator[Measured]:
        """Every request's result, as they come.

        Raises:
            BudgetSpent: one more org run could exceed the evolution's GPU-hours, or nothing is left to think for.
        """
        ...


class RaceRecord(msgspec.Struct, frozen=True):
    """A race that has ended: on which rung, in which generation (0 on the rungs after the simulated one), who was
    champion before and after."""

    rung: str
    generation: int
    champion: str
    winner: str
    verdict: Verdict


class Scores(msgspec.Struct, frozen=True):
    """A stage without a race: every organization's scores by seed."""

    stage: str
    seeds: tuple[int, ...]
    scores: dict[str, tuple[float | None, ...]]
