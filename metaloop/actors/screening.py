"""Screening: when a training is hopeless enough to be killed."""

from __future__ import annotations

import math

from metaloop.actors.state import OrgState
from metaloop.vocabulary.records import Experiment, Proposal, StopRule, reading

LOOKED_BACK_ON = 200
"""How many of the last trainings a curve is compared with; a bound, so that a long past makes no training slower."""


def stop_rule(state: OrgState, experiment: Experiment) -> StopRule | None:
    """The rule for an experiment, or ``None`` where it may run to its end.

    Only first trainings of a proposal are screened: against the branch head's own learning curve plus the margin
    that the proposer grants (absolute bars would kill slow starters that the head itself resembles), or, where
    the proposer keeps a share below 1, against the curves of all trainings so far.
    """
    if experiment.proposal is None or experiment.purpose != "candidate" or experiment.repeat != 0:
        return None
    proposal = state.proposals[experiment.proposal].proposal
    if proposal.screen_fraction <= 0:
        return None
    if proposal.screen_keep < 1.0:
        return _among_all(state, proposal)
    head = reading(state.curves.get(state.branches[experiment.branch].key, ()), proposal.screen_fraction)
    return StopRule(head.fraction, head.bpb + proposal.screen_margin) if head is not None else None


def _among_all(state: OrgState, proposal: Proposal) -> StopRule | None:
    """Go on only among the best ``screen_keep`` of what was read at this point of the budget so far, stopped trainings
    included: asynchronous successive halving with one rung (ASHA: Li et al. 2020, arXiv:1810.05934). While
    there are few, only what reads better than all goes on."""
    curves = [outcome.curve for outcome in state.outcomes[-LOOKED_BACK_ON:] if outcome.repeat == 0]
    points = [reading(curve, proposal.screen_fraction) for curve in curves]
    read = sorted(point.bpb for point in points if point is not None)
    if not read:
        return None
    return StopRule(proposal.screen_fraction, read[math.ceil(len(read) * proposal.screen_keep) - 1])
