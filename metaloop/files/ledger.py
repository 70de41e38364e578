"""The budget ledger: what an org run holds, and what that has cost so far.

Device time is charged from reservation to release, whatever the device did meanwhile: idle, crashed, killed and
screening time included. Tokens and dollars are summed as decisions declare them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from metaloop.vocabulary.records import Cost


@dataclass
class BudgetLedger:
    """Device-seconds, tokens and dollars of one org run against its budget of device-seconds.

    What is held and paid for by one name is a group of ``group`` devices, which share each training.
    """

    budget_s: float = 0.0
    group: int = 1
    settled_s: float = 0.0
    busy_s: float = 0.0
    tokens: int = 0
    usd: float = 0.0
    held: dict[str, float] = field(default_factory=dict)
    """Devices held now, with the time each was reserved at."""
    held_since: dict[float, int] = field(default_factory=dict)
    """Reservation time to how many held devices were reserved then: an org run reserves all at once, so that what
    ten thousand devices have cost is one product, not a sum over them."""

    _spent: tuple[float, float] | None = field(default=None, init=False, repr=False, compare=False)
    """A time and what was spent up to it, as long as nothing is reserved or released: at one time it is asked for
    several times."""

    def reserve(self, device: str, now: float) -> None:
        """Start paying for a device; :class:`ValueError` if it is held already."""
        if device in self.held:
            raise ValueError(f"device {device} is already reserved")
        self.held[device] = now
        self._spent = None
        self.held_since[now] = self.held_since.get(now, 0) + 1

    def release(self, device: str, now: float) -> None:
        """Stop paying for a device; :class:`KeyError` if it is not held."""
        since = self.held.pop(device)
        self._spent = None
        self.settled_s += self.group * (now - since)
        self.held_since[since] -= 1
        if not self.held_since[since]:
            del self.held_since[since]

    def spent_s(self, now: float) -> float:
        """Device-seconds allocated up to ``now``."""
        if self._spent is not None and self._spent[0] == now:
            return self._spent[1]
        spent = 0.0
        for since, count in self.held_since.items():
            spent += self.group * count * (now - since)
        spent += self.settled_s
        self._spent = (now, spent)
        return spent

    @property
    def rate(self) -> int:
        """Devices held now: device-seconds that a second costs."""
        return self.group * len(self.held)

    def work(self, seconds: float) -> None:
        """A group's training has ended that took so many seconds."""
        self.busy_s += self.group * seconds

    def share(self, now: float) -> float:
        """Spent part of the budget; 1 and more when it is used up."""
        return self.spent_s(now) / self.budget_s if self.budget_s > 0 else 1.0

    def charge(self, cost: Cost) -> None:
        """Add a decision's tokens and dollars (its seconds pass as device time)."""
        self.tokens += cost.tokens
        self.usd += cost.usd
