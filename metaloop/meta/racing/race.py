"""A race as a state machine: observations in, jobs and a verdict out. It owns no clock, no files and no processes.

The state is a fold over the *set* of observations: whatever order they come in, however often one is repeated, the same
set gives the same state, so a race that was killed is resumed by feeding it what is on disk. Decisions are taken at
looks. A look waits for every job of its blocks, because a challenger that is judged on the blocks that happened to
finish first is judged on the fast ones.

What is promised: the chance that a challenger which is no better than the champion is ever accepted is at most
``alpha``, for all challengers together, however long the race and whatever it drops (the sequential test holds
at all looks at once, and dropping can only take chances to be accepted away). It is kept for paired differences that
are normal; docs/racing.md says how far it was measured to hold for others, and with org runs that crash. And the
budget: a look is begun only if all its jobs at their most cost would still be paid for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from metaloop.meta.racing.pairing import compare, differences
from metaloop.meta.racing.sequential import (
    Summary,
    confidence_sequence,
    critical_t,
    e_value,
    fewest,
    reached,
    summarize,
)
from metaloop.meta.racing.terms import Cause, Ending, Exit, Job, Observation, RaceTerms, Standing, Verdict

_ROUNDING = 1e-9
"""Relative; a budget of 0.3 pays for three jobs of 0.1."""


class RaceState(msgspec.Struct, frozen=True):
    """A race so far. ``blocks`` have been looked at, the next look is after ``until``; ``racing`` are the challengers
    and controls still in it, ``left`` those that are not. ``seen`` goes by job. ``spent`` is the cost of the blocks
    that were looked at."""

    terms: RaceTerms
    seen: dict[tuple[str, int], Observation]
    blocks: int
    until: int
    racing: tuple[str, ...]
    left: dict[str, Exit]
    spent: float
    accepted: str | None
    ended: Ending | None


def begin(terms: RaceTerms) -> RaceState:
    """A race before its first job.

    Raises:
        ValueError: the terms make no sense, or do not pay for ``least`` blocks of everybody; the message says which.
    """
    _check(terms)
    racing = (*terms.challengers, *terms.controls)
    return RaceState(terms, {}, 0, terms.least, racing, {}, 0.0, None, None)


def observe(state: RaceState, observations: Iterable[Observation]) -> RaceState:
    """The state with more observations. Those that are never asked for change nothing; repeating one does not either.

    Raises:
        ValueError: two observations of one job differ, a score is not a finite number, or a cost is below 0.
    """
    seen = dict(state.seen)
    for observation in observations:
        _check_observation(observation)
        if seen.setdefault(Job(observation.name, observation.block), observation) != observation:
            raise ValueError(f"two different results of {observation.name} on block {observation.block}")
    state = msgspec.structs.replace(state, seen=seen)
    while state.ended is None and all(job in seen for job in _asked(state)):
        state = _open(_look(state))
    return state


def next_jobs(state: RaceState) -> tuple[Job, ...]:
    """The jobs that the next look waits for, in order of block; those in flight are among them; none once it ended.

    All of them at their most cost fit into the budget beside everything that was spent.
    """
    return tuple(job for job in _asked(state) if job not in state.seen)


def verdict(state: RaceState) -> Verdict:
    """Where the race stands. ``spent`` and ``org_runs`` count what was asked for and has come in."""
    names = (*state.terms.challengers, *state.terms.controls)
    pending = [state.seen[job] for job in _asked(state) if job in state.seen]
    ran = [state.left[name].blocks if name in state.left else _blocks_of(state, name) for name in names]
    return Verdict(
        ended=state.ended,
        accepted=state.accepted,
        blocks=state.blocks,
        org_runs=state.blocks + sum(ran) + len(pending),
        spent=state.spent + math.fsum(observation.cost for observation in pending),
        standings=tuple(sorted((_standing(state, name) for name in names), key=_by_difference)),
        suspect=tuple(name for name in state.terms.twins if _differs(state, name)),
    )


def survivors(state: RaceState) -> tuple[str, ...]:
    """Challengers that are better than the champion on average and were not raced out, the best first.

    Whom the budget no longer paid for was not raced out.
    """
    out = {name for name, exit_ in state.left.items() if exit_.cause != "budget"}
    means = {name: _mean(_versus(state, name)) for name in state.terms.challengers if name not in out}
    return tuple(sorted((name for name in means if means[name] > 0), key=lambda name: -means[name]))


def against_champion(state: RaceState, name: str) -> Summary:
    """The paired differences of ``name`` to the champion, on the blocks looked at while it was in the race."""
    return _versus(state, name)


def _asked(state: RaceState) -> list[Job]:
    if state.ended is not None:
        return []
    names, blocks = (state.terms.champion, *state.racing), range(state.blocks, state.until)
    return [Job(name, block) for block in blocks for name in names if _wanted(state.terms, name, block)]


def _wanted(terms: RaceTerms, name: str, block: int) -> bool:
    """Controls run in the first blocks only, also where the first look comes later."""
    return block < terms.control_blocks or name not in terms.controls


def _look(state: RaceState) -> RaceState:
    """The next look's decisions; all its jobs have been seen."""
    costs = [state.seen[job].cost for job in _asked(state)]
    state = msgspec.structs.replace(state, blocks=state.until, spent=state.spent + math.fsum(costs))
    versus = {name: _versus(state, name) for name in _challengers(state)}
    if state.terms.goal == "accept":
        level = state.terms.level()
        proven = [name for name in versus if reached(versus[name], level, state.terms.effects)]
        if proven:
            best = max(proven, key=lambda name: versus[name].mean)
            return msgspec.structs.replace(state, accepted=best, ended="accepted")
    state = _leave(state, _beaten(state, versus), "beaten")
    hopeless = [name for name in _challengers(state) if _hopeless(state, versus[name])]
    state = _leave(state, hopeless, "hopeless")
    keep = min((cut.keep for cut in state.terms.cuts if cut.blocks <= state.blocks), default=len(versus))
    ranked = sorted(_challengers(state), key=lambda name: -_mean(versus[name]))
    state = _leave(state, ranked[keep:], "halved")
    if state.blocks >= state.terms.control_blocks:
        state = _leave(state, state.terms.controls, "control")
    return state


def _open(state: RaceState) -> RaceState:
    """Plans the next look, or ends the race. Where the budget does not pay for everybody, the weakest leave."""
    if state.ended is not None:
        return state
    terms = state.terms
    if len(_challengers(state)) <= terms.keep:
        return msgspec.structs.replace(state, ended="field")
    if state.blocks >= terms.most:
        return msgspec.structs.replace(state, ended="blocks")
    affordable = _affordable(terms, state.spent)
    if affordable < 1 + len(state.racing):
        ranked = sorted(_challengers(state), key=lambda name: -_mean(_versus(state, name)))
        controls = [name for name in terms.controls if name in state.racing]
        state = _leave(state, [*ranked, *controls][max(0, affordable - 1) :], "budget")
    if not _challengers(state):
        return msgspec.structs.replace(state, ended="budget")
    step = min(terms.every, terms.most - state.blocks, affordable // (1 + len(state.racing)))
    return msgspec.structs.replace(state, until=state.blocks + step)


def _affordable(terms: RaceTerms, spent: float) -> int:
    return math.floor((terms.budget - spent) / terms.job_cost + _ROUNDING)


def _leave(state: RaceState, names: Iterable[str], cause: Cause) -> RaceState:
    gone = [name for name in names if name in state.racing]
    left = state.left | {name: Exit(_blocks_of(state, name), cause) for name in gone}
    return msgspec.structs.replace(state, left=left, racing=tuple(n for n in state.racing if n not in gone))


def _blocks_of(state: RaceState, name: str) -> int:
    """Blocks that somebody who is still in the race has run."""
    return min(state.blocks, state.terms.control_blocks) if name in state.terms.controls else state.blocks


def _beaten(state: RaceState, versus: dict[str, Summary]) -> list[str]:
    """Challengers that the leader (the best mean so far, the champion included) is proven to be better than."""
    terms, best = state.terms, max(versus, key=lambda name: _mean(versus[name]), default=None)
    leader = best if best is not None and _mean(versus[best]) > 0 else terms.champion
    ahead = _scores(state, leader)
    others = [name for name in versus if name != leader]
    level = terms.drop_level()
    return [name for name in others if reached(compare(ahead, _scores(state, name)), level, terms.effects)]


def _hopeless(state: RaceState, versus: Summary) -> bool:
    """Whether the predictive probability of being accepted at the last block that can be paid for is below the bound.

    The predictive distribution of the mean of N values after n of them, with mean m and sd s, under a flat prior, is
    Student's t with n−1 degrees of freedom around m, of scale s·√(1/n − 1/N); s is taken as final. Spiegelhalter,
    Freedman and Blackburn, "Monitoring clinical trials: conditional or predictive power?", Controlled Clinical Trials
    7, 1986. N assumes that the challenger would race on alone with the champion.
    """
    from scipy.special import stdtr

    terms, n = state.terms, versus.n
    if terms.goal != "accept" or terms.futility <= 0 or n < 2:
        return False
    more = min(terms.most - state.blocks, _affordable(terms, state.spent) // 2)
    if more <= 0:
        return False
    final = n + more
    needed = critical_t(final, terms.level(), terms.effects) * versus.deviation / math.sqrt(final)
    scale = versus.deviation * math.sqrt(1 / n - 1 / final)
    if not scale > 0:
        return versus.mean <= 0
    return float(stdtr(n - 1, (versus.mean - needed) / scale)) < terms.futility


def _challengers(state: RaceState) -> list[str]:
    return [name for name in state.racing if name not in state.terms.controls]


def _scores(state: RaceState, name: str) -> list[float | None]:
    """Scores on the blocks that were looked at while ``name`` was in the race."""
    until = state.left[name].blocks if name in state.left else _blocks_of(state, name)
    return [state.seen[name, block].score for block in range(until)]


def _pairs(state: RaceState, name: str) -> list[float]:
    ours = _scores(state, name)
    return differences(ours, _scores(state, state.terms.champion)[: len(ours)])


def _versus(state: RaceState, name: str) -> Summary:
    return summarize(_pairs(state, name))


def _mean(summary: Summary) -> float:
    """The mean difference; 0, neither better nor worse, where no block has either score."""
    return summary.mean if summary.n else 0.0


def _standing(state: RaceState, name: str) -> Standing:
    terms, scores, pairs = state.terms, _scores(state, name), _pairs(state, name)
    return Standing(
        name=name,
        blocks=len(scores),
        missing=scores.count(None),
        difference=math.fsum(pairs) / len(pairs) if pairs else None,
        interval=confidence_sequence(pairs, terms.alpha, terms.effects),
        e_value=e_value(pairs, terms.effects),
        left=state.left.get(name),
    )


def _by_difference(standing: Standing) -> float:
    return math.inf if standing.difference is None else -standing.difference


def _differs(state: RaceState, name: str) -> bool:
    level = _twin_level(state.terms)
    pairs = _pairs(state, name)
    flipped = [-pair for pair in pairs]
    return any(reached(summarize(side), level, state.terms.effects) for side in (pairs, flipped))


def _twin_level(terms: RaceTerms) -> float:
    """The e-value, on either side, at which a twin is suspect: Bonferroni over twins and sides."""
    return 2 * len(terms.twins) / terms.alpha


def _check_observation(observation: Observation) -> None:
    job = f"{observation.name} on block {observation.block}"
    if observation.score is not None and not math.isfinite(observation.score):
        raise ValueError(f"{job} has the score {observation.score}; an org run that crashed has None")
    if not 0 <= observation.cost < math.inf:
        raise ValueError(f"{job} cost {observation.cost}; a cost is a finite number from 0")


def _check(terms: RaceTerms) -> None:
    names = (terms.champion, *terms.challengers, *terms.controls)
    everybody = sum(_wanted(terms, name, block) for block in range(terms.least) for name in names)
    wrong = {
        "every name in a race is unique": len(set(names)) < len(names),
        "nobody challenges the champion": not terms.challengers,
        "a twin is one of the controls": not set(terms.twins) <= set(terms.controls),
        "alpha and drop_error are between 0 and 1": not (0 < terms.alpha < 1 and 0 < terms.drop_error < 1),
        "futility is from 0 to below 1": not 0 <= terms.futility < 1,
        "effects are above 0, and at least one": not terms.effects or not all(0 < e < math.inf for e in terms.effects),
        "2 <= least <= most and every >= 1": not (2 <= terms.least <= terms.most and terms.every >= 1),
        "a cut keeps at least one after at least one block": any(c.blocks < 1 or c.keep < 1 for c in terms.cuts),
        "a job costs something": not 0 < terms.job_cost < math.inf,
        "a budget is a finite number": not math.isfinite(terms.budget),
        "keep is not negative": terms.keep < 0,
    }
    for message, is_wrong in wrong.items():
        if is_wrong:
            raise ValueError(message)
    if _affordable(terms, 0.0) < everybody:
        raise ValueError(f"a budget of {terms.budget:g} does not pay for {everybody} jobs of {terms.job_cost:g}")
    _check_tests_can_fail(terms)


def _check_tests_can_fail(terms: RaceTerms) -> None:
    """Blocks for which no score table whatever would be significant are refused: they would be paid for nothing."""
    if terms.goal == "accept" and fewest(terms.level(), terms.effects, terms.most) is None:
        raise ValueError(f"{terms.most} blocks at most: too few for anybody to be accepted at alpha {terms.alpha:g}")
    blocks = min(terms.most, terms.control_blocks)
    if terms.twins and fewest(_twin_level(terms), terms.effects, blocks) is None:
        raise ValueError(f"{blocks} blocks of the twins: too few for any of them to be suspect")
