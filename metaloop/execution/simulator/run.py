"""A whole org run in memory: the meta-loop's inner world, without a folder, git or a wall clock."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from metaloop.actors.controller import Controller
from metaloop.actors.messages import Command
from metaloop.actors.run_context import Granted, RunContext
from metaloop.actors.state import OrgState, replay
from metaloop.execution.backend import Backend, Hosting
from metaloop.execution.org_run import OrgRunTerms, started_event
from metaloop.execution.trainer import Target
from metaloop.files.journal import MemoryJournal
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.models import ThinkingTerms


@dataclass(frozen=True)
class SimulatedRun:
    """An org run that has ended: its journal's events, and the state they come to."""

    events: list[ev.Event]
    state: OrgState


def simulate_org(terms: OrgRunTerms, target: Target, backend: Backend) -> SimulatedRun:
    """Run one organization on ``backend`` to its end, with its journal in memory."""
    organization = terms.organization
    teams = {member.name: member.team for member in organization.members}
    journal = MemoryJournal()

    def embody(state: OrgState) -> Controller:
        granted = Granted(terms.allowance, target.editable_texts, terms.lessons, terms.canaries)
        return Controller(RunContext(organization, target.space, terms.seed, state, journal, granted))

    state = OrgState(teams=dict(teams))
    controller = embody(state)

    def revive(now: float) -> tuple[Controller, list[Command]]:
        nonlocal state
        state = replay(journal.events, teams)
        reborn = embody(state)
        return reborn, reborn.resume(now)

    backend.host(
        Hosting(
            controller=controller,
            members=organization.members,
            space=target.space,
            seed=terms.seed,
            starts_at=0.0,
            begin=lambda: controller.start(started_event(terms, target, backend)),
            poll=lambda _: [],
            longest_s=target.longest_s,
            revive=revive,
            commits=lambda: len(state.commits),
            thinking=ThinkingTerms(
                terms.thinkers.models,
                declared_time=True,
                scouting=msgspec.structs.replace(terms.scouting, live=False),
                human=terms.thinkers.human,
            ),
        )
    )
    return SimulatedRun(journal.events, state)
