"""Screening: when a training is hopeless enough to be killed."""

from __future__ import annotations

from metaloop.actors.state import OrgState
from metaloop.vocabulary.records import Experiment, StopRule


def stop_rule(state: OrgState, experiment: Experiment) -> StopRule | None:
    """The rule for an experiment, or ``None`` where it may run to its end.

    Only first trainings of a proposal are screened, against the branch head's own learning curve plus the margin
    that the proposer grants: absolute bars would kill slow starters that the head itself resembles.
    """
    if experiment.proposal is None or experiment.purpose != "candidate" or experiment.repeat != 0:
        return None
    proposal = state.proposals[experiment.proposal].proposal
    if proposal.screen_fraction <= 0:
        return None
    head = state.curves.get(state.branches[experiment.branch].key, ())
    reached = [point for point in head if point.fraction >= proposal.screen_fraction - 1e-9]
    if not reached or reached[0].fraction >= 1.0:
        return None
    return StopRule(reached[0].fraction, reached[0].bpb + proposal.screen_margin)
