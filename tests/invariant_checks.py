"""The invariants of DESIGN.md as functions of what an org run left behind: used on every backend's org runs.

Each takes the journal's events (and the live state where it is compared with them) and raises AssertionError.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from metaloop.actors.entries import INTERRUPTED
from metaloop.actors.state import OrgState, replay
from metaloop.files import journal
from metaloop.meta.audit import audit
from metaloop.meta.waiting import waiting
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.organization import Organization
from metaloop.vocabulary.records import TRUNK, Config, effective
from metaloop.vocabulary.space import Space

Events = Sequence[ev.Event]


def check_time(events: Events) -> None:
    """The journal's time never goes back."""
    for earlier, later in pairwise(events):
        assert later.t >= earlier.t, (earlier, later)


def check_waiting(events: Events) -> None:
    """Busy and idle device-seconds add up to the allocated ones."""
    account = audit(events)
    idle = sum(item.seconds for item in waiting(events))
    assert account.busy_s + idle == pytest.approx(account.allocated_s, rel=1e-9)


def check_2_replay(events: Events, state: OrgState) -> None:
    """Replaying the journal, as written, gives the live state."""
    written = [journal._DECODER.decode(journal.encode(event)) for event in events]
    assert replay(written, state.teams) == state
    assert replay(written[:-1], state.teams) != state


def check_3_ledger(events: Events, state: OrgState, longest_s: float) -> None:
    """The ledger equals an independent count; overspent by no more than what was in flight (``longest_s`` each)."""
    account = audit(events)
    assert state.ledger.spent_s(state.now + 1e6) == pytest.approx(account.allocated_s, rel=1e-9)
    assert state.ledger.busy_s == pytest.approx(account.busy_s, rel=1e-9)
    assert not state.ledger.held
    over = account.allocated_s - account.budget_s
    assert over <= len(account.devices) * account.devices_per_experiment * longest_s, f"overspent by {over} s"
    assert account.busy_s <= account.allocated_s + 1e-6


def check_4_final_states(events: Events, state: OrgState) -> None:
    """Every experiment ends in exactly one final state, after attempts that each ended once."""
    finals = Counter(e.experiment for e in events if isinstance(e, ev.Finished | ev.Dropped))
    queued = [e.experiment.id for e in events if isinstance(e, ev.Queued)]
    assert sorted(queued) == sorted(finals)
    assert set(finals.values()) <= {1}
    assert all(e.final for e in state.experiments.values())
    # What was stopped at a look may be trained to its end later on; nothing else is paid for again, and that only once.
    for stopped in (False, True):
        trained = Counter(
            (tuple(sorted(s.experiment.config.items())), s.experiment.repeat)
            for s in state.experiments.values()
            if (s.final == "stopped") is stopped
        )
        assert set(trained.values()) <= {1}, "a configuration was paid for twice on one seed"
    _check_attempts(events)


def _check_attempts(events: Events) -> None:
    """A device trains one attempt at a time, and only that attempt's result is taken."""
    running: dict[str, tuple[str, int]] = {}
    losses: Counter[str] = Counter()
    for event in events:
        if isinstance(event, ev.Started):
            assert event.device not in running
            running[event.device] = (event.experiment, event.attempt)
        elif isinstance(event, ev.Finished | ev.Lost):
            assert running.pop(event.device) == (event.experiment, event.attempt)
            losses[event.experiment] += isinstance(event, ev.Lost) and event.reason != INTERRUPTED
    assert not running
    assert max(losses.values(), default=0) <= 1, "an experiment is rerun once, then it is its own doing"


def check_5_trunk(events: Events, state: OrgState, organization: Organization, space: Space) -> None:
    """Trunk moves only on a merger's verdict, under the policy that the organization states."""
    mergers = {m.name: m for m in organization.of_kind("merger")}
    judged: dict[str, ev.Judged] = {}
    config: Config = {}
    commit = state.root
    for event in events:
        if isinstance(event, ev.Judged):
            judged[event.proposal] = event
        if isinstance(event, ev.Merged) and event.branch == TRUNK:
            verdict = judged[event.proposal]
            assert (verdict.verdict, verdict.actor) == ("merge", event.actor)
            policy = mergers[event.actor].policy
            assert policy["strategy"] != "never"
            assert event.parent == commit
            changes = state.proposals[event.proposal].proposal.changes
            assert event.config == effective(config, changes, space.defaults())
            if policy["strategy"] == "test" and event.repeats > 1:
                assert event.repeats <= int(str(policy["repeats"]))
            config, commit = event.config, event.commit
    assert state.branches[TRUNK].config == config
    if organization.name == "no-op":
        assert config == {}


def check_6_drained(state: OrgState) -> None:
    """The org run has ended with nothing waiting, running or undecided."""
    assert state.ended
    assert len(state.queue) == 0
    assert not state.running
    assert {p.status for p in state.proposals.values()} <= {"merged", "discarded", "rejected", "review"}
