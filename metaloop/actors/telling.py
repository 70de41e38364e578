"""What a finished training tells: its score to the controller, its outcome to the members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaloop.actors.entries import ExperimentState
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import Outcome

if TYPE_CHECKING:
    from metaloop.actors.state import OrgState


def record_score(state: OrgState, entry: ExperimentState, event: ev.Finished) -> None:
    """File the score and the curve under the configuration, or how the training failed."""
    score = _score(event)
    repeat = entry.experiment.repeat
    if score is None:
        state.failures[(entry.key, repeat)] = event.result.state
        return
    state.scores.setdefault(entry.key, {})[repeat] = score
    state.curves.setdefault(entry.key, event.result.curve)


def _score(event: ev.Finished) -> float | None:
    return event.result.bpb.get("val") if event.result.state == "ok" else None


def tell(state: OrgState, entry: ExperimentState, event: ev.Finished) -> None:
    """Write the outcome that members will be shown."""
    experiment = entry.experiment
    proposal = state.proposals[experiment.proposal].proposal if experiment.proposal else None
    author = proposal.author if proposal else ""
    score = _score(event)
    head = state.scores.get(state.branches[experiment.branch].key, {}).get(experiment.repeat)
    state.outcomes.append(
        Outcome(
            experiment=experiment.id,
            proposal=experiment.proposal,
            author=author,
            team=state.teams.get(author, ""),
            branch=experiment.branch,
            purpose=experiment.purpose,
            changes=proposal.changes if proposal else {},
            config=experiment.config,
            repeat=experiment.repeat,
            state=event.result.state,
            bpb=score,
            delta=None if score is None or head is None or proposal is None else score - head,
            seconds=event.result.seconds,
            curve=event.result.curve,
            edits=proposal.edits if proposal else (),
            message="" if event.result.state in ("ok", "stopped") else event.result.message,
        )
    )
