"""What a person sees while a run is under way; always on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from metaloop.actors.state import OrgState
from metaloop.execution.org_run import Observer
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import TRUNK, digest

Following = Callable[[str, int], Observer]
"""From an organization's name and seed to who follows its org run."""


class Progress:
    """Live bars on a terminal; elsewhere (and with ``lines_only``, where several org runs go on at a time) one line for
    each org run and confirmation that ends. ``also`` follows every org run, too."""

    def __init__(self, quiet: bool = False, lines_only: bool = False, also: Following | None = None) -> None:
        from rich.console import Console

        self._also = also
        self._console = Console(stderr=True, quiet=quiet, highlight=False)
        self._plain = lines_only or not self._console.is_terminal

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, style="dim", markup=False, soft_wrap=True)

    @contextmanager
    def org_run(self, name: str, seed: int) -> Iterator[Observer]:
        """Follows one org run: share of the budget, experiments, merges, best so far, time left."""
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[now]}"),
            TimeRemainingColumn(),
        )
        last = ""
        follow = self._also(name, seed) if self._also else None
        with Bars(*columns, console=self._console, transient=True, disable=self._plain) as bars:
            task = bars.add_task(f"{name} seed {seed}", total=1.0, now="")

            def observe(event: ev.Event, state: OrgState) -> None:
                nonlocal last
                if follow is not None:
                    follow(event, state)
                if isinstance(event, ev.SetAside):
                    self.say(f"{name} seed {seed}: {event.device} was set aside: {event.reason}")
                if isinstance(event, ev.Finished | ev.Merged | ev.RunEnded):
                    last = _status(state)
                    bars.update(task, completed=min(1.0, state.ledger.share(event.t)), now=last)

            yield observe
        self.say(f"{name} seed {seed}: {last}")

    @contextmanager
    def trainings(self, total: int, what: str) -> Iterator[Callable[[object], None]]:
        """Follows many trainings: how many are done, and the time left."""
        from rich.progress import Progress as Bars

        with Bars(console=self._console, transient=True, disable=self._plain) as bars:
            task = bars.add_task(what, total=total)
            yield lambda _: bars.update(task, advance=1)

    @contextmanager
    def confirmation(self, name: str, seed: int) -> Iterator[Callable[[int, int], None]]:
        """Follows the confirmation of one org run."""
        from rich.progress import Progress as Bars

        with Bars(console=self._console, transient=True, disable=self._plain) as bars:
            task = bars.add_task(f"{name} seed {seed}: confirming on fresh seeds", total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)


def _status(state: OrgState) -> str:
    """``61 experiments, 9 merges, 3.9120 bpb on trunk (4.3799 at the start)``."""
    trunk = state.branches[TRUNK]
    now = state.scores.get(digest(trunk.config), {}).get(0)
    start = state.scores.get(digest({}), {}).get(0)
    scores = f", {now:.4f} bpb on trunk ({start:.4f} at the start)" if now and start else ""
    return f"{state.finished} experiments, {trunk.merges} merges{scores}"
