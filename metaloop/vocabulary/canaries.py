"""Canary trainings: one fixed, short training again and again, by which a device that has changed is known."""

from __future__ import annotations

import msgspec

from metaloop.vocabulary.records import TrainingRequest

CANARY_SEED = 0
"""Every canary of every org run trains the target's baseline on this seed: only devices can make a difference."""


class CanaryTerms(msgspec.Struct, frozen=True):
    """When canaries are trained, and what counts as off.

    ``every_s``: seconds of run time after which a device is due for another, 0 for no canaries at all. ``fraction``:
    the share of a training's budget that one takes. ``slower``: how many times the time of the others' canaries is too
    long. ``off_bpb``: how far (bpb) a score may lie from the others'.
    """

    every_s: float = 0.0
    fraction: float = 0.1
    slower: float = 1.25
    off_bpb: float = 0.02

    @property
    def request(self) -> TrainingRequest:
        """What a canary trains."""
        return TrainingRequest({}, CANARY_SEED, budget_fraction=self.fraction)


NO_CANARIES = CanaryTerms()
