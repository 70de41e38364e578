"""One org run in its folder: begun, hosted on a backend, resumed after any death."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from metaloop import __version__
from metaloop.actors.controller import Controller
from metaloop.actors.messages import Command, IdeaArrived, Message
from metaloop.actors.run_context import Granted, RunContext
from metaloop.actors.state import OrgState, replay
from metaloop.execution.backend import Backend, Hosting
from metaloop.execution.research_record import ResearchRecord
from metaloop.execution.trainer import Target
from metaloop.files import journal
from metaloop.files.repository import Repository
from metaloop.files.run_folder import OrgRunFolder, last_sign, leave_sign, read_inbox
from metaloop.files.worktrees import SharedRepository
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.canaries import NO_CANARIES, CanaryTerms
from metaloop.vocabulary.lessons import Lesson
from metaloop.vocabulary.models import NOBODY, UNLIMITED, Allowance, Thinkers, ThinkingTerms
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.sources import NO_SOURCES, ScoutTerms

Observer = Callable[[ev.Event, OrgState], None]


@dataclass(frozen=True)
class OrgRunTerms:
    """What an org run is granted."""

    organization: Organization
    seed: int
    budget_s: float
    thinkers: Thinkers = NOBODY
    """Who may decide for its members."""
    allowance: Allowance = UNLIMITED
    """What that may cost."""
    scouting: ScoutTerms = NO_SOURCES
    """Where its scouts may look."""
    lessons: tuple[Lesson, ...] = ()
    """What earlier org runs found, for organizations that want to know."""
    canaries: CanaryTerms = NO_CANARIES
    """How its devices are watched."""


def has_ended(folder: OrgRunFolder) -> bool:
    """Whether the org run in ``folder`` is over."""
    if not folder.journal.exists():
        return False
    return any(isinstance(event, ev.RunEnded) for event in journal.iterate(folder.journal))


def run_org(terms: OrgRunTerms, folder: OrgRunFolder, target: Target, backend: Backend, observer: Observer) -> OrgState:
    """Run (or go on with) one org run until it ends, and return its final state.

    Raises:
        JournalError, RepositoryError, BackendError
    """
    written = journal.FileJournal(folder.journal)
    past = journal.read(folder.journal)
    state = replay(past, _teams(terms.organization))
    if state.ended:
        written.close()
        return state
    died_at = max([state.now, last_sign(folder)]) if past else 0.0

    def embody(state: OrgState) -> tuple[Controller, ResearchRecord]:
        granted = Granted(terms.allowance, target.editable_texts, terms.lessons, terms.canaries)
        context = RunContext(terms.organization, target.space, terms.seed, state, written, granted)
        record = ResearchRecord(Repository(folder.repository), target, state)
        context.watch(record.take)
        context.watch(lambda event: observer(event, state))
        return Controller(context), record

    controller, record = embody(state)

    def begin() -> list[Command]:
        if not past:
            return controller.start(started_event(terms, target, backend))
        record.catch_up(past)
        return controller.resume(died_at)

    def revive(now: float) -> tuple[Controller, list[Command]]:
        nonlocal state
        events = journal.read(folder.journal)
        state = replay(events, _teams(terms.organization))
        reborn, record = embody(state)
        record.catch_up(events)
        return reborn, reborn.resume(now)

    try:
        backend.host(
            Hosting(
                controller=controller,
                members=terms.organization.members,
                space=target.space,
                seed=terms.seed,
                starts_at=died_at,
                begin=begin,
                poll=_poll(folder, terms.organization),
                longest_s=target.longest_s,
                revive=revive,
                commits=lambda: len(state.commits),
                thinking=_thinking(terms, folder, backend),
            )
        )
    finally:
        written.close()
        if folder.worktrees.exists():  # who was still at work when the run ended was stopped
            SharedRepository(folder.repository).clear(folder.worktrees)
    return state


def _thinking(terms: OrgRunTerms, folder: OrgRunFolder, backend: Backend) -> ThinkingTerms:
    """What those who think have to work with, in absolute paths: members live in processes of their own."""
    simulated = backend.name == "sim"
    return ThinkingTerms(
        cards=terms.thinkers.models,
        transcripts=str(folder.transcripts.resolve()),
        declared_time=simulated,
        limits=str(folder.limits.resolve()),
        scouting=msgspec.structs.replace(terms.scouting, live=not simulated),
        agents=terms.thinkers.agents,
        repository=str(folder.repository.resolve()),
        worktrees=str(folder.worktrees.resolve()),
        questions=str(folder.questions.resolve()),
        human=terms.thinkers.human,
    )


def _teams(organization: Organization) -> dict[str, str]:
    return {member.name: member.team for member in organization.members}


def started_event(terms: OrgRunTerms, target: Target, backend: Backend) -> ev.RunStarted:
    """The first event of an org run's journal."""
    return ev.RunStarted(
        t=0.0,
        organization=terms.organization.name,
        org_digest=terms.organization.digest,
        seed=terms.seed,
        devices=backend.devices,
        budget_s=terms.budget_s,
        target=target.identity,
        backend=backend.name,
        version=__version__,
        devices_per_experiment=target.devices_per_experiment,
    )


def _poll(folder: OrgRunFolder, organization: Organization) -> Callable[[float], list[Message]]:
    """Leaves a sign of life with the run time, and picks up ideas if the organization reads its inbox."""

    def poll(now: float) -> list[Message]:
        leave_sign(folder, now)
        if not organization.inbox:
            return []
        return [IdeaArrived(idea) for idea in read_inbox(folder)]

    return poll
