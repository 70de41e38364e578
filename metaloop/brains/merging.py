"""Scripted mergers: when a measured change becomes part of a branch."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import stdev

from metaloop.brains.brain import Brain, Fingerprint, Policy, fingerprint
from metaloop.brains.history import History
from metaloop.vocabulary.code import lines_changed
from metaloop.vocabulary.decisions import Judge, Observation
from metaloop.vocabulary.organization import Member
from metaloop.vocabulary.records import Candidate, Config, Outcome
from metaloop.vocabulary.space import Space

CLOSING = 0.85
"""Share of the budget after which a batch is closed with what it has: later there is no time to train it."""

Deltas = tuple[float, ...]
"""Paired differences in bpb, candidate minus head (of a stale candidate: minus its own base)."""


def least_gain(candidate: Candidate, min_gain: float, gain_per_line: float) -> float:
    """The gain asked of a candidate (bpb): every line of code that it adds, net, has to bring something of its own, and
    what it takes away makes up for as much."""
    if not candidate.proposal.edits:
        return min_gain
    added, removed = lines_changed(candidate.proposal.edits)
    return min_gain + gain_per_line * (added - removed)


def mean(deltas: Deltas) -> float:
    """As ``statistics.fmean``, without its checks: a verdict takes several means of one number."""
    return math.fsum(deltas) / len(deltas)


class Merger:
    """Greedy: the first score decides. Base of the others.

    Once the budget is spent nothing can be trained, so that the only verdicts left are merge and discard.
    """

    def __init__(self, member: Member, space: Space) -> None:
        self.policy = Policy(member)
        self.space = space
        self._failed: dict[Fingerprint, set[int]] = {}

    def learn(self, news: tuple[Outcome, ...]) -> None:
        """Remember the trainings without a score: all of the past that a verdict here depends on."""
        for outcome in news:
            if outcome.bpb is None:
                self._failed.setdefault(fingerprint(outcome.config), set()).add(outcome.repeat)
            elif self._failed:
                self._failed.get(fingerprint(outcome.config), set()).discard(outcome.repeat)

    def failed(self, config: Config) -> set[int]:
        """The repeats on which the configuration has no score."""
        return self._failed.get(fingerprint(config), set()) if self._failed else set()

    def decide(self, observation: Observation) -> Judge:
        self.learn(observation.news)
        candidate = observation.candidate
        assert candidate is not None
        failed = self.failed(candidate.config)
        if failed:
            return Judge("discard", f"its training on repeat {min(failed)} has no score")
        deltas = candidate.base_deltas() if candidate.stale else candidate.deltas()
        if not deltas:
            return Judge("discard", "there is nothing to compare it with")
        if candidate.stale and self.policy.word("on_stale") == "retest":
            return self.stale(candidate, deltas, observation)
        if observation.budget_spent >= 1.0:
            return self.now_or_never(candidate, deltas)
        return self.judge(candidate, deltas, observation)

    def asked(self, candidate: Candidate) -> float:
        """The gain that is asked of it (bpb): below zero where it takes more lines of code away than such a gain is
        worth."""
        return least_gain(candidate, self.policy.real("min_gain"), self.policy.real("gain_per_line"))

    def wins(self, candidate: Candidate, delta: float) -> bool:
        """Whether the difference is as large an improvement as is asked."""
        least = self.asked(candidate)
        return -delta >= least and (delta < 0 or least < 0)

    def nearly_wins(self, candidate: Candidate, delta: float) -> bool:
        """Whether it misses that by no more than a near miss."""
        return not self.wins(candidate, delta) and delta <= self.policy.real("near_miss") - self.asked(candidate)

    def stale(self, candidate: Candidate, deltas: Deltas, observation: Observation) -> Judge:
        """The head has moved: whoever wins against its own base, or even against the new head, is trained again."""
        best = min(mean(deltas), *(candidate.deltas() or deltas))
        if self.wins(candidate, best) and observation.budget_spent < 1.0:
            return Judge("retest", f"{best:+.4f} bpb, but the head has moved since")
        return Judge("discard", f"{best:+.4f} bpb, and the head has moved since")

    def judge(self, candidate: Candidate, deltas: Deltas, observation: Observation) -> Judge:
        """The verdict while there is budget."""
        if self.policy.real("near_miss") > 0 and self.nearly_wins(candidate, mean(deltas)):
            return self.gather(candidate, deltas, observation, "near miss")
        return self.now_or_never(candidate, deltas)

    def now_or_never(self, candidate: Candidate, deltas: Deltas) -> Judge:
        """Merge or discard, on what is known."""
        delta = mean(deltas)
        if self.wins(candidate, delta):
            return Judge("merge", f"{delta:+.4f} bpb over {len(deltas)} paired seed(s)")
        return Judge("discard", f"{delta:+.4f} bpb; an improvement of {self.asked(candidate):g} is asked")

    def gather(self, candidate: Candidate, deltas: Deltas, observation: Observation, what: str) -> Judge:
        """Hold the candidate until enough are held, then try them together.

        A combination, an integration and a part of a combination that failed stand alone: they had their chance.
        """
        if candidate.proposal.purpose in ("combination", "integration") or candidate.combined:
            return self.now_or_never(candidate, deltas)
        held = [c for c in observation.held if c.proposal.id != candidate.proposal.id and not c.combined]
        closing = observation.budget_spent >= CLOSING
        size = 2 if closing else self.policy.whole("batch_size")
        delta = mean(deltas)
        if len(held) + 1 >= size:
            ids = tuple(c.proposal.id for c in held)
            return Judge("combine", f"{what} {delta:+.4f} bpb; {len(ids) + 1} together", together=ids)
        if closing:
            return self.now_or_never(candidate, deltas)
        return Judge("hold", f"{what} {delta:+.4f} bpb, held with {len(held)} other(s)")


class BatchMerger(Merger):
    """Winners wait for each other and are trained as one: additive gains cost one training, not one each.

    A combination that does worse than one of its own parts is turned down, so that the part comes up alone.
    """

    def __init__(self, member: Member, space: Space) -> None:
        super().__init__(member, space)
        self._history = History(space)

    def learn(self, news: tuple[Outcome, ...]) -> None:
        super().learn(news)
        self._history.fold(news)

    def judge(self, candidate: Candidate, deltas: Deltas, observation: Observation) -> Judge:
        if not self.wins(candidate, mean(deltas)):
            return super().judge(candidate, deltas, observation)
        part = self._better_part(candidate, observation)
        if part is not None:
            return Judge("discard", f"{mean(deltas):+.4f} bpb together, but its part {part} alone did better")
        return self.gather(candidate, deltas, observation, "winner")

    def stale(self, candidate: Candidate, deltas: Deltas, observation: Observation) -> Judge:
        """A stale winner needs no retest of its own: the combination is one."""
        alone = candidate.combined or candidate.proposal.purpose in ("combination", "integration")
        if alone or observation.budget_spent >= CLOSING or not self.wins(candidate, mean(deltas)):
            return super().stale(candidate, deltas, observation)
        return self.gather(candidate, deltas, observation, "winner on an older head")

    def _better_part(self, candidate: Candidate, observation: Observation) -> str | None:
        """The part of this combination that, trained alone from this head, scored better on the same seed."""
        if candidate.proposal.purpose != "combination":
            return None
        own = candidate.scores.get(0, math.inf)
        history, head = self._history, observation.head.config
        for index in sorted(history.trial_of[part] for part in candidate.proposal.parts if part in history.trial_of):
            trial = history.trials[index]
            if trial.base == head and trial.outcome.bpb is not None and trial.outcome.bpb < own:
                return trial.outcome.proposal
        return None


class TestingMerger(Merger):
    """Repeats on paired seeds until the policy's number; a one-sided paired t test decides (Student, 1908).

    It asks for one repeat at a time and gives up as soon as the mean is no improvement: of changes that start so,
    few would turn. What has too few repeats when the budget ends is not proven, and is discarded.
    """

    __test__ = False  # not a test class, whatever its name tells pytest

    def judge(self, candidate: Candidate, deltas: Deltas, observation: Observation) -> Judge:
        if not self.wins(candidate, mean(deltas)):
            return super().judge(candidate, deltas, observation)
        unscored = self.failed(observation.head.config)
        asked = len(deltas) + sum(repeat < self.policy.whole("repeats") for repeat in unscored)
        # A stale candidate is compared with its old base, which nobody trains any more.
        if asked < self.policy.whole("repeats") and not candidate.stale:
            return Judge("repeat", f"{mean(deltas):+.4f} bpb so far", repeats=asked + 1)
        return self.now_or_never(candidate, deltas)

    def now_or_never(self, candidate: Candidate, deltas: Deltas) -> Judge:
        verdict = super().now_or_never(candidate, deltas)
        if verdict.verdict != "merge" or self.policy.whole("repeats") == 1:
            return verdict
        if len(deltas) < 2:
            return Judge("discard", f"{mean(deltas):+.4f} bpb on one seed is not proven")
        p, alpha = one_sided_p(deltas), self.policy.real("alpha")
        reason = f"{mean(deltas):+.4f} bpb over {len(deltas)} paired seeds, p = {p:.3f}"
        return Judge("merge", reason) if p <= alpha else Judge("discard", f"{reason} is above {alpha:g}")


class NoMerger(Merger):
    """The control: nothing is ever merged."""

    def decide(self, _observation: Observation) -> Judge:
        return Judge("discard", "this organization never merges")


def one_sided_p(deltas: Deltas) -> float:
    """Probability of a mean at least this far below zero if the true mean were zero (paired t test, n >= 2)."""
    spread, middle = stdev(deltas), mean(deltas)
    if spread == 0:
        return 0.0 if middle < 0 else 1.0
    return student_cdf(middle / (spread / math.sqrt(len(deltas))), len(deltas) - 1)


def student_cdf(t: float, df: int) -> float:
    """Distribution function of Student's t with a whole number of degrees of freedom.

    The finite sums of Abramowitz and Stegun (1964), 26.7.3 and 26.7.4; no SciPy, since actors must start fast.
    """
    theta = math.atan(t / math.sqrt(df))
    cos2 = math.cos(theta) ** 2
    term, total = 1.0, 0.0
    for k in range(df // 2):
        total += term
        term *= cos2 * (2 * k + 1) / (2 * k + 2) if df % 2 == 0 else cos2 * (2 * k + 2) / (2 * k + 3)
    if df % 2 == 0:
        inside = math.sin(theta) * total
    else:
        inside = (theta + math.sin(theta) * math.cos(theta) * total) * 2 / math.pi
    return 0.5 * (1 + inside)


def make_merger(member: Member, space: Space) -> Brain:
    """The merger of the member's strategy."""
    kinds: dict[str, Callable[[Member, Space], Brain]] = {
        "greedy": Merger,
        "batch": BatchMerger,
        "test": TestingMerger,
        "never": NoMerger,
    }
    return kinds[Policy(member).word("strategy")](member, space)
