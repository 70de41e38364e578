"""Notice from outside that this process will be stopped: who hosts org runs then begins nothing new."""

from __future__ import annotations

GRACE_S = 25.0
"""How long trainings under way may go on after the notice. Kubernetes (terminationGracePeriodSeconds) and Google's spot
machines kill 30 s after it, others later; what is left is for closing files."""


class Notice:
    """Given once, from a signal handler or another thread; never taken back."""

    def __init__(self) -> None:
        self._given = False

    def give(self) -> None:
        self._given = True

    @property
    def given(self) -> bool:
        return self._given
