"""What all the harm came to: the invariants on every journal, and what was paid twice or lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from bench.chaotic.kills import KINDS, Kill
from metaloop.actors.state import replay
from metaloop.edges import session
from metaloop.files import journal
from metaloop.files.org_file import load_organization
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, read_lines
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import canonical
from tests import invariant_checks as checks

COUNTED = (
    "org_runs", "finished", "finished_twice", "lost", "lost_attempts", "members_died", "taken_up", "reruns",
)  # fmt: skip


class Verdict(msgspec.Struct, frozen=True):
    """Counts over all org runs, and what was found broken."""

    org_runs: int
    finished: int
    finished_twice: int
    lost: int
    lost_attempts: int
    members_died: int
    taken_up: int
    reruns: int
    confirmations: int
    confirmed_twice: int
    broken: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not (self.finished_twice or self.lost or self.confirmed_twice or self.broken)


def verdict_on(folders: Iterable[Path]) -> Verdict:
    """Judge every org run of every run folder."""
    count: Counter[str] = Counter()
    confirmed: Counter[tuple[str, int, str, str, int]] = Counter()
    broken: list[str] = []
    for path in folders:
        folder = RunFolder(path)
        terms = folder.read_terms()
        for name in terms.organizations:
            for seed in terms.org_run_seeds:
                place = folder.org_run(name, seed)
                events = journal.read(place.journal)
                count += _counts(events)
                confirmed.update((str(path), seed, name, c.commit, c.pair) for c in _confirmed(place))
                broken += _broken(folder, name, events)
    return Verdict(
        **{field: count[field] for field in COUNTED},
        confirmations=confirmed.total(),
        confirmed_twice=confirmed.total() - len(confirmed),
        broken=tuple(broken),
    )


def _counts(events: Sequence[ev.Event]) -> Counter[str]:
    """One org run's part of the verdict, in its field names."""
    ids = Counter(e.experiment for e in events if isinstance(e, ev.Finished))
    dropped = {e.experiment for e in events if isinstance(e, ev.Dropped)}
    queued = {e.experiment.id for e in events if isinstance(e, ev.Queued)}
    found = {
        "org_runs": 1,
        "finished": ids.total(),
        "finished_twice": ids.total() - len(ids) + _trained_twice(events),
        "lost": len(queued - set(ids) - dropped),
        "lost_attempts": sum(isinstance(e, ev.Lost) for e in events),
        "members_died": sum(isinstance(e, ev.ActorDied) for e in events),
        "taken_up": sum(isinstance(e, ev.Interrupted) for e in events),
        "reruns": sum(isinstance(e, ev.Started) and e.attempt > 1 for e in events),
    }
    return Counter(found)


def _confirmed(place: OrgRunFolder) -> list[Confirmation]:
    return read_lines(place.confirmations, Confirmation)


def _trained_twice(events: Sequence[ev.Event]) -> int:
    """Configurations that brought a score on the same seed more than once."""
    queued = {e.experiment.id: e.experiment for e in events if isinstance(e, ev.Queued)}
    scored = [queued[e.experiment] for e in events if isinstance(e, ev.Finished) and e.result.state == "ok"]
    keys = Counter((canonical(experiment.config), experiment.repeat) for experiment in scored)
    return keys.total() - len(keys)


def _broken(folder: RunFolder, name: str, events: Sequence[ev.Event]) -> list[str]:
    """Invariants that do not hold for an org run."""
    organization = load_organization(folder.organizations / name)
    target = session.target_of(folder.read_terms())
    state = replay(events, {member.name: member.team for member in organization.members})
    attempts: dict[str, Callable[[], None]] = {
        "time": lambda: checks.check_time(events),
        "2": lambda: checks.check_2_replay(events, state),
        "3": lambda: checks.check_3_ledger(events, state, target.longest_s),
        "4": lambda: checks.check_4_final_states(events, state),
        "5": lambda: checks.check_5_trunk(events, state, organization, target.space),
        "6": lambda: checks.check_6_drained(state),
    }
    found = []
    for number, check in attempts.items():
        try:
            check()
        except AssertionError as error:
            reason = str(error).splitlines()[0] if str(error) else "does not hold"
            found.append(f"{folder.path.name}/{name}: invariant {number}: {reason}")
    return found


def table(kills: Sequence[Kill], verdict: Verdict) -> str:
    """Markdown: what came of it, kind by kind, and every kill."""
    lines = [
        f"{len(kills)} kills over {verdict.org_runs} org runs with {verdict.finished} finished trainings and "
        f"{verdict.confirmations} confirmations: **{verdict.finished_twice} finished trainings paid twice, "
        f"{verdict.lost} lost, {verdict.confirmed_twice} confirmations twice, {len(verdict.broken)} invariants "
        f"broken.** On the way {verdict.lost_attempts} attempts were lost, of which {verdict.reruns} were started "
        f"again and the rest dropped with a spent budget; org runs were taken up again {verdict.taken_up} times, and "
        f"members were born again {verdict.members_died} times.",
        "",
        *[f"- {line}" for line in verdict.broken],
        "| kind | what is done | kills | next result after, median (most) |",
        "| --- | --- | --- | --- |",
    ]
    for kind, what in KINDS.items():
        back = sorted(k.back_s for k in kills if k.kind == kind and k.back_s is not None)
        times = f"{back[len(back) // 2]:.1f} s ({back[-1]:.1f} s)" if back else ""
        lines.append(f"| {kind} | {what} | {sum(k.kind == kind for k in kills)} | {times} |")
    lines += [
        "",
        "| # | at | kind | while | in the journal by the next result | next result after |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for k in kills:
        after = f"{k.back_s:.1f} s" if k.back_s is not None else "none was due"
        lines.append(f"| {k.number} | {k.at_s:.0f} s | {k.kind} | {k.phase} | {k.outcome} | {after} |")
    return "\n".join(lines) + "\n"
