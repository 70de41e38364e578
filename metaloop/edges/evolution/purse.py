"""What an evolution may still think for: its total, less what org runs, rewritings and the evidence have cost."""

from __future__ import annotations

from collections.abc import Callable

from metaloop.files.org_record import OrgFile
from metaloop.meta.thinking import Charge
from metaloop.vocabulary.errors import BudgetSpent
from metaloop.vocabulary.models import UNLIMITED, Allowance


class Purse:
    """``spent`` is asked anew each time, so that the total holds over all stages, and after a death."""

    def __init__(self, total: Allowance, spent: Callable[[], Charge]) -> None:
        self._total = total
        self._spent = spent

    @property
    def limited(self) -> bool:
        """Whether there is a total at all; who thinks then does so one at a time, as what is left must be known."""
        return self._total != UNLIMITED

    def left(self) -> Allowance:
        """What is left of the total."""
        return self._total.less(*self._spent()) if self.limited else UNLIMITED

    def granted(self) -> Allowance:
        """What one more org run may think for.

        Raises:
            BudgetSpent: nothing is left.
        """
        left = self.left()
        if left.spent(0, 0.0):
            tokens, usd = self._spent()
            raise BudgetSpent(f"{tokens:,} tokens (${usd:.2f}) were paid for thinking, and nothing is left.")
        return left


def thinks(organization: OrgFile) -> bool:
    """Whether a model answers for any of its members."""
    return any(member.brain != "scripted" for member in organization.to_organization().members)
