"""Writes an org run's merges into its git repository, so that ``git log main`` reads as the research record."""

from __future__ import annotations

from metaloop.actors.state import OrgState
from metaloop.execution.trainer import Target
from metaloop.files.knobs_file import KNOBS_FILE, knobs_file, scalar
from metaloop.files.repository import Change, Repository
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.code import lines_by_file, texts_of
from metaloop.vocabulary.records import TRUNK, Config, Proposal


class ResearchRecord:
    """Follows an org run's events; :meth:`catch_up` commits what a killed run left out."""

    def __init__(self, repository: Repository, target: Target, state: OrgState) -> None:
        self._repository = repository
        self._target = target
        self._space = target.space
        self._state = state

    def begin(self) -> None:
        """The first commit: the baseline."""
        started = self._state.started
        assert started is not None
        root = Change(
            branch=TRUNK,
            commit_id=self._state.root,
            files=self._files({}),
            subject=f"Baseline of {self._target.spec.trainer}, preset {self._target.spec.preset}",
            body="What every gain of this org run is measured from.",
            trailers={
                "Organization": started.organization,
                "Seed": str(started.seed),
                "Budget": f"{started.budget_s / 3600:.4g} GPU-hours on {len(started.devices)} devices",
            },
            seconds=0,
        )
        self._repository.create(root)

    def catch_up(self, events: list[ev.Event]) -> None:
        """Follow the events after the last merge that the repository has."""
        self.begin()
        known = set(self._repository.commit_ids())
        done = [i for i, event in enumerate(events) if isinstance(event, ev.Merged) and event.commit in known]
        for event in events[done[-1] + 1 if done else 0 :]:
            self.take(event)
        self._repository.show_trunk()

    def take(self, event: ev.Event) -> None:
        """Follow one event."""
        if isinstance(event, ev.RunStarted):
            self.begin()
        elif isinstance(event, ev.Merged):
            self._repository.commit(self._change(event))
        elif isinstance(event, ev.BranchReset):
            self._repository.set_branch(event.branch, TRUNK)
        elif isinstance(event, ev.RunEnded):
            self._repository.show_trunk()

    def _files(self, config: Config) -> dict[str, str]:
        changed = texts_of(config, self._state.sources)
        return {**self._target.files, **changed, KNOBS_FILE: knobs_file(self._space, config)}

    def _change(self, event: ev.Merged) -> Change:
        proposal = self._state.proposals[event.proposal].proposal
        integration = proposal.purpose == "integration"
        return Change(
            branch=event.branch,
            commit_id=event.commit,
            files=self._files(event.config),
            subject=_subject(proposal, event),
            body=proposal.hypothesis,
            trailers=_trailers(proposal, event),
            seconds=int(event.t),
            also=proposal.author if integration else None,
        )


def _subject(proposal: Proposal, event: ev.Merged) -> str:
    files = [f"{path} {lines}" for path, lines in lines_by_file(proposal.edits).items()]
    knobs = [f"{name} = {scalar(value)}" for name, value in sorted(proposal.changes.items())]
    changes = ", ".join([*files, *knobs])
    if len(changes) > 90:
        changes = f"{changes[:80].rsplit(', ', 1)[0]}, … ({len(proposal.changes)} knobs)"
    delta = f" ({event.delta:+.4f} bpb)" if event.delta is not None else ""
    return f"{changes}{delta}"


def _trailers(proposal: Proposal, event: ev.Merged) -> dict[str, str]:
    interval = f", 95 % interval [{event.ci95[0]:+.4f}, {event.ci95[1]:+.4f}]" if event.ci95 else ""
    measured = "not measured on this head" if event.delta is None else f"{event.delta:+.5f} bpb{interval}"
    repeats = "1 seed" if event.repeats == 1 else f"{event.repeats} paired seeds"
    predicted = f"{proposal.predicted_delta:+.5f} bpb" if proposal.predicted_delta is not None else "none"
    return {
        "Measured-Delta": f"{measured} ({repeats})",
        "Predicted-Delta": predicted,
        "Spent": f"{event.spent_s / 3600:.5f} GPU-hours so far",
        "Proposal": proposal.id + (f" from {', '.join(proposal.parts)}" if proposal.parts else ""),
        "Proposed-by": event.author,
        "Merged-by": f"{event.actor} ({event.policy})",
    }
