"""Lessons: what org runs found, gathered from their journals and confirmations for later organizations.

What a later organization is told about confirmed effects leaks from the data they were measured on: it then chooses
what did well there. So effects of merges come from the ``holdout`` split, which steers the meta-loop anyway; the
``confirm`` split, on which every organization is reported, never enters a lesson (invariant 8). Effects of dead ends
are what members saw themselves, on ``val``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from metaloop import __version__
from metaloop.actors.entries import ProposalState
from metaloop.actors.state import OrgState, replay
from metaloop.execution.trainer import Target
from metaloop.files import journal
from metaloop.files.run_folder import Confirmation, OrgRunFolder, RunFolder, read_lines
from metaloop.meta.confirmed import Scores, confirm_merges
from metaloop.meta.results import ConfirmedMerge
from metaloop.meta.statistics import t_interval
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.code import FILE
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.lessons import Lesson, LessonKind, Lessons
from metaloop.vocabulary.records import Config, FinalState, digest, paired

SPLIT = "holdout"
"""The split that merges' effects are measured on; never ``confirm``."""
MOST_DEAD_ENDS = 300
"""Dead ends that are kept, the latest: a member's memory looks back on 50 to 100 by default."""
TELLING: tuple[FinalState, ...] = ("diverged", "oom", "stopped")
"""Ends without a score that are the change's own doing; a crash or a timeout may be the machine's."""
SAME_TARGET = ("trainer", "preset", "data_hash", "model")
"""Fields of a target's identity that must agree for a lesson to mean anything."""

Found = tuple[Lesson, Sequence[float]]
"""A lesson of one org run, and the differences (bpb) that it rests on."""


def gather(paths: Iterable[Path]) -> Lessons:
    """The lessons of all org runs in these run folders that have a journal.

    Raises:
        UsageError: there is no org run, or they trained different targets.
        FileError: a folder is no run's, or one of its files is damaged.
    """
    found: list[Found] = []
    targets: dict[str, dict[str, str]] = {}
    for path in paths:
        folder = RunFolder(path)
        terms = folder.read_terms()
        for name in terms.organizations:
            for seed in terms.org_run_seeds:
                place, source = folder.org_run(name, seed), f"{path.resolve().name}/{name}/seed-{seed}"
                if place.journal.exists():
                    targets[source] = _take(place, source, found)
    if not targets:
        raise UsageError("there is no org run to learn from. Name folders of runs that have begun.")
    first = next(iter(targets.values()))
    for source, target in targets.items():
        differs = differences(target, first)
        if differs:
            raise UsageError(
                f"{source} trained another target than {next(iter(targets))}: {differs}. Gather them apart."
            )
    return Lessons(first, tuple(pooled(found)), tuple(targets), __version__)


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Where two targets are not the same, for people; empty where a lesson of one holds for the other."""
    parts = [f"{k} {one.get(k, 'none')} and {other.get(k, 'none')}" for k in SAME_TARGET if one.get(k) != other.get(k)]
    return ", ".join(parts)


def _take(place: OrgRunFolder, source: str, found: list[Found]) -> dict[str, str]:
    events = journal.read(place.journal)
    started = next(event for event in events if isinstance(event, ev.RunStarted))
    found += lessons_of(events, read_lines(place.confirmations, Confirmation), source)
    return started.target


def lessons_of(events: Sequence[ev.Event], confirmations: Iterable[Confirmation], source: str) -> list[Found]:
    """The lessons of one org run. Changes of code are left out: edits of one head mean little on another."""
    state = replay(events)
    scores = Scores(confirmations, SPLIT)
    found = [*_dead_ends(state, source), *_merges(events, state, scores, source)]
    return [(lesson, values) for lesson, values in found if not _has_code(lesson)]


def _has_code(lesson: Lesson) -> bool:
    return any(name.startswith(FILE) for name in (*lesson.changes, *lesson.base))


def _dead_ends(state: OrgState, source: str) -> Iterator[Found]:
    configs = _configs(state)
    for entry in state.proposals.values():
        base = configs.get(entry.proposal.base)
        if base is None or entry.status != "discarded" or entry.proposal.edits:
            continue
        deltas = paired(state.scores.get(entry.key, {}), state.scores.get(digest(base), {}))
        if deltas and sum(deltas) >= 0:
            yield _lesson("dead end", entry.proposal.changes, base, deltas, source)
        elif not deltas:
            yield from _failed(entry, base, state, source)


def _configs(state: OrgState) -> dict[str, Config]:
    """Commit to configuration, of all that proposals were made on."""
    by_key = {entry.key: entry.config for entry in state.proposals.values()}
    by_key[digest({})] = {}
    return {commit: by_key[key] for commit, key in state.commits.items() if key in by_key}


def _merges(events: Sequence[ev.Event], state: OrgState, scores: Scores, source: str) -> Iterator[Found]:
    merges = confirm_merges(events, scores)
    configs = {state.root: Config(), **{e.commit: e.config for e in events if isinstance(e, ev.Merged)}}
    for merge in merges:
        deltas = list(scores.differences(merge.commit, merge.parent).values())
        if deltas and merge.parent in configs and merge.changes:
            yield _lesson(_kind(merge), merge.changes, configs[merge.parent], deltas, source)
    if len(merges) > 1:
        last = merges[-1].commit
        deltas = list(scores.differences(last, state.root).values())
        if deltas:
            proven = _is_below(deltas)
            yield _lesson("win" if proven else "unsure", configs[last], {}, deltas, source, whole=True)


def _kind(merge: ConfirmedMerge) -> LessonKind:
    ci95 = merge.confirmed_ci95
    return "win" if ci95 is not None and ci95[1] < 0.0 else "unsure"


def _is_below(deltas: Sequence[float]) -> bool:
    ci95 = t_interval(deltas).ci95
    return ci95 is not None and ci95[1] < 0.0


def _lesson(
    kind: LessonKind, changes: Config, base: Config, deltas: Sequence[float], source: str, *, whole: bool = False
) -> Found:
    estimate = t_interval(deltas)
    return (
        Lesson(_id(base, changes), kind, changes, base, estimate.mean, estimate.ci95, len(deltas), source, whole=whole),
        deltas,
    )


def _failed(entry: ProposalState, base: Config, state: OrgState, source: str) -> Iterator[Found]:
    changes, ended = entry.proposal.changes, state.failures.get((entry.key, 0))
    for end in TELLING:
        if ended == end:
            yield Lesson(_id(base, changes), "dead end", changes, base, None, None, 1, source, state=end), ()


def _id(base: Config, changes: Config) -> str:
    return digest({f"{place} {name}": v for place, c in (("base", base), ("new", changes)) for name, v in c.items()})


def pooled(found: Iterable[Found]) -> list[Lesson]:
    """One lesson for every change set over the same base, dead ends first, the latest last.

    The same one in several org runs: their means are the values, so that the interval tells how org runs differ.
    """
    groups: dict[str, list[Found]] = {}
    for one in found:
        groups.setdefault(one[0].id, []).append(one)
    lessons = [lesson for group in groups.values() if (lesson := _pool(group)) is not None]
    dead = [lesson for lesson in lessons if lesson.kind == "dead end"]
    return [*dead[-MOST_DEAD_ENDS:], *(lesson for lesson in lessons if lesson.kind != "dead end")]


def _pool(group: Sequence[Found]) -> Lesson | None:
    """One lesson of several; ``None`` where they contradict each other."""
    if len(group) == 1:
        return group[0][0]
    scored = [(lesson, values) for lesson, values in group if values]
    if not scored:
        return _of_runs(group, None, None)
    means = [sum(values) / len(values) for _, values in scored]
    estimate = t_interval(means)
    dead = all(lesson.kind == "dead end" for lesson, _ in group)
    if dead and estimate.mean < 0:
        return None
    pooled_lesson = _of_runs(scored, estimate.mean, estimate.ci95)
    if dead:
        return pooled_lesson
    kind: LessonKind = "win" if estimate.ci95 is not None and estimate.ci95[1] < 0 else "unsure"
    return _with_kind(pooled_lesson, kind)


def _of_runs(group: Sequence[Found], delta: float | None, ci95: tuple[float, float] | None) -> Lesson:
    first, runs = group[0][0], len({lesson.source for lesson, _ in group})
    source = first.source if runs == 1 else f"{first.source} and {runs - 1} more"
    return Lesson(
        first.id,
        first.kind,
        first.changes,
        first.base,
        delta,
        ci95,
        len(group),
        source,
        org_runs=runs,
        state=first.state,
        whole=any(lesson.whole for lesson, _ in group),
    )


def _with_kind(lesson: Lesson, kind: LessonKind) -> Lesson:
    return msgspec.structs.replace(lesson, kind=kind)


def check_target(lessons: Lessons, target: Target) -> None:
    """Refuse lessons that mean nothing for this target.

    Raises:
        UsageError: they come from another one.
        TrainerError: one names a knob or a value that the target does not have.
    """
    differs = differences(lessons.target, target.identity)
    if differs:
        raise UsageError(f"these lessons come from another target: {differs}. Gather lessons of runs on this one.")
    for lesson in lessons.lessons:
        target.space.validate({**lesson.base, **lesson.changes})
