"""``metaloop replay``: an org run's state, rebuilt from its journal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click
import msgspec

from metaloop.actors.state import OrgState, replay
from metaloop.files import journal
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.errors import JournalError
from metaloop.vocabulary.records import TRUNK, Config


class ReplayedRun(msgspec.Struct, frozen=True):
    """What ``replay --json`` prints."""

    organization: str
    seed: int
    ended: bool
    events: int
    seconds: float
    gpu_hours: float
    busy_gpu_hours: float
    budget_gpu_hours: float
    experiments: dict[str, int]
    proposals: dict[str, int]
    merges: int
    trunk_commit: str
    trunk: Config
    tokens: int
    usd: float


@click.command("replay")
@click.argument("path", type=click.Path(path_type=Path), metavar="JOURNAL")
@click.option("--events", "show_events", is_flag=True, help="Print every event as a line, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def replay_command(path: Path, show_events: bool, as_json: bool) -> None:
    """Rebuild an org run's state from its journal.jsonl (or the org run's folder) and print it.

    The journal is the whole truth of an org run; this is how `resume` finds out where it stopped.
    """
    from metaloop.edges.outcome import print_json

    file = path / "journal.jsonl" if path.is_dir() else path
    events = journal.read(file)
    if not events or not isinstance(events[0], ev.RunStarted):
        raise JournalError(file, 1, "the journal does not begin with run_started. Name an org run's journal.jsonl.")
    try:
        state = replay(events)
    except (KeyError, ValueError) as error:
        raise JournalError(file, None, f"the events contradict each other ({error!r}). Restore the file.") from None
    summary = summarize(state, len(events))
    if as_json:
        print_json(summary)
        return
    if show_events:
        for event in events:
            click.echo(describe_event(event))
    _print(summary)


def summarize(state: OrgState, events: int) -> ReplayedRun:
    """The state in figures."""
    assert state.started is not None
    trunk = state.branches[TRUNK]
    finals = Counter(e.final or ("running" if e.device else "queued") for e in state.experiments.values())
    return ReplayedRun(
        organization=state.started.organization,
        seed=state.started.seed,
        ended=state.ended,
        events=events,
        seconds=state.now,
        gpu_hours=state.ledger.spent_s(state.now) / 3600,
        busy_gpu_hours=state.ledger.busy_s / 3600,
        budget_gpu_hours=state.ledger.budget_s / 3600,
        experiments=dict(finals),
        proposals=dict(Counter(p.status for p in state.proposals.values())),
        merges=trunk.merges,
        trunk_commit=trunk.commit,
        trunk=trunk.config,
        tokens=state.ledger.tokens,
        usd=state.ledger.usd,
    )


def describe_event(event: ev.Event) -> str:
    """One line: time, kind, and the fields that matter."""
    fields = msgspec.to_builtins(event)
    kind = fields.pop("type")
    time = fields.pop("t")
    text = ", ".join(f"{k}={v}" for k, v in fields.items() if v not in (None, {}, [], ()))
    return f"{time:9.3f} s  {kind:<14} {text[:160]}"


def _print(run: ReplayedRun) -> None:
    def counts(of: dict[str, int]) -> str:
        return ", ".join(f"{n} {name}" for name, n in sorted(of.items())) or "none"

    rows = {
        "organization": f"{run.organization}, seed {run.seed}",
        "state": f"{'ended' if run.ended else 'not ended'} after {run.seconds:.1f} s ({run.events} events)",
        "gpu-hours": f"{run.gpu_hours:.5f} of {run.budget_gpu_hours:.5f} allotted, {run.busy_gpu_hours:.5f} busy",
        "experiments": counts(run.experiments),
        "proposals": counts(run.proposals),
        "trunk": f"{run.trunk_commit} after {run.merges} merges",
        "changed knobs": ", ".join(f"{k}={v}" for k, v in run.trunk.items()) or "none",
        "cost": f"{run.tokens} tokens, ${run.usd:.2f}",
    }
    for name, text in rows.items():
        click.echo(f"{name:<14} {text}")
