"""The course of one peer's run, kept in metaloop's own journal events, so that one code measures both sides.

A peer has no merger; its incumbent moves whenever a whole training scores better than all before. That is written as a
merge on trunk, and the harness confirms and measures it like an organization's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import TRUNK, Config, FinalState, digest, effective
from metaloop.vocabulary.space import Space

ROOT = "baseline"


@dataclass
class Course:
    """Collects what happens in a run of ``peer``; ``events`` is its journal."""

    peer: str
    seed: int
    devices: int
    budget_s: float
    space: Space
    events: list[ev.Event] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    best: float | None = None
    busy_s: float = 0.0
    """Device-seconds in which something was trained."""
    _configs: dict[str, Config] = field(default_factory=dict)
    _head: str = ROOT

    def __post_init__(self) -> None:
        names = tuple(f"device-{place}" for place in range(self.devices))
        self.events.append(
            ev.RunStarted(
                t=0.0,
                organization=self.peer,
                org_digest="",
                seed=self.seed,
                devices=names,
                budget_s=self.budget_s,
                target={},
                backend="peers",
                version="",
            )
        )
        self.events += [ev.Reserved(0.0, name) for name in names]

    def started(self, trial: str, config: Config) -> Config:
        """Remember a trial; returns its configuration as overrides over the baseline."""
        self._configs[trial] = effective({}, self.space.validate(config), self.space.defaults())
        return self._configs[trial]

    def config(self, trial: str) -> Config:
        """The overrides of a trial that was started."""
        return self._configs[trial]

    def ended(self, trial: str, now: float, state: FinalState, bpb: float | None) -> None:
        """A training is over at run time ``now``; its configuration becomes the incumbent if none scored better.

        The baseline is trunk from the start, so its own score only sets the bar.
        """
        self.states[state] += 1
        if bpb is None or (self.best is not None and bpb >= self.best):
            return
        delta = None if self.best is None else bpb - self.best
        self.best = bpb
        config = self._configs[trial]
        commit = digest(config) if config else ROOT
        if commit == self._head:
            return
        self.events.append(
            ev.Merged(
                t=now,
                branch=TRUNK,
                commit=commit,
                parent=self._head,
                proposal=trial,
                actor=self.peer,
                author=self.peer,
                config=config,
                delta=delta,
                ci95=None,
                repeats=1,
                spent_s=now * self.devices,
                policy="",
            )
        )
        self._head = commit

    def released(self, device: int, now: float) -> None:
        """A device was given back."""
        self.events.append(ev.Released(now, f"device-{device}"))

    def finish(self, now: float, paused: int) -> None:
        """Nothing more will happen; ``paused`` trainings were never taken up again."""
        if paused:
            self.states["paused"] = paused
        self.events.append(ev.RunEnded(now, "budget"))
