"""GPU-hours of a whole run, and their limit: org runs, confirmations and what was lost on the way together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from metaloop.edges.progress import Progress
from metaloop.files import journal
from metaloop.files.run_folder import Confirmation, RunFolder, RunTerms, read_lines
from metaloop.meta.audit import audit
from metaloop.vocabulary.errors import BudgetSpent


class Limit:
    """The most that a run may spend; ``max_gpu_hours`` 0 in its terms: no limit.

    An org run begins only if all that it was granted is still there. The harness stops once the limit is reached. So it
    is exceeded by no more than what was in training then, on every device.
    """

    def __init__(self, folder: RunFolder, terms: RunTerms) -> None:
        self._folder = folder
        self._terms = terms

    def spent(self) -> float:
        """GPU-hours allocated to org runs, running ones up to their journal's last event, and used for confirming."""
        seconds = 0.0
        for name in self._terms.organizations:
            for seed in self._terms.org_run_seeds:
                place = self._folder.org_run(name, seed)
                if place.journal.exists():
                    seconds += audit(journal.read(place.journal)).allocated_s
                seconds += sum(c.seconds for c in read_lines(place.confirmations, Confirmation))
        return seconds / 3600

    def check_org_run(self, began: bool) -> None:
        """Whether an org run may begin; one that has begun was paid for then.

        Raises:
            BudgetSpent
        """
        most = self._terms.max_gpu_hours
        if not most or began:
            return
        left = most - self.spent()
        if self._terms.gpu_hours > left:
            raise BudgetSpent(f"{max(0.0, left):.4f} of {most:g} GPU-hours are left, less than an org run is granted")

    def affords(self, org_run: tuple[str, int], busy: Collection[tuple[str, int]]) -> bool:
        """Whether an org run may begin beside those that are ``busy``, all that these were granted set apart.

        With nobody busy it may try: what then is missing is told by :meth:`check_org_run`.
        """
        most, granted = self._terms.max_gpu_hours, self._terms.gpu_hours
        if not most or not busy or self._folder.org_run(*org_run).journal.exists():
            return True
        return self.spent() + granted + sum(max(0.0, granted - self._allocated(each)) for each in busy) <= most

    def _allocated(self, org_run: tuple[str, int]) -> float:
        place = self._folder.org_run(*org_run)
        return audit(journal.read(place.journal)).allocated_s / 3600 if place.journal.exists() else 0.0

    def watch(self, on_progress: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """``on_progress`` of a confirmation, which ends it once the limit is reached."""
        most = self._terms.max_gpu_hours

        def checked(done: int, total: int) -> None:
            on_progress(done, total)
            if most and done < total and self.spent() >= most:
                raise BudgetSpent(f"all of {most:g} GPU-hours are spent, with {total - done} confirmations to do")

        return checked


@contextmanager
def within_limit(progress: Progress) -> Iterator[None]:
    """What is over the limit is left undone, and said; a run has what it has."""
    try:
        yield
    except BudgetSpent as reason:
        progress.say(f"the run ends early: {reason}.")
