"""A synthetic target that is hard in the ways of the real one, and a small loop that optimizes it.

35 knobs of mixed kind in six groups: a few matter much, most little; learning rates have a cliff on the far side
of their optimum; some optima move with other knobs; gains add up with diminishing returns; a training may diverge;
the score is noisy, and the same configuration and seed give the same score.

As a program it compares strategies: ``python -m tests.brains.objective --budget 60 120 --seeds 20 local tpe``.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Mapping
from statistics import fmean, stdev

from metaloop.brains.registry import make_brain
from metaloop.files.policies import defaults
from metaloop.vocabulary.decisions import Judge, Observation, Propose
from metaloop.vocabulary.organization import Member, RoleKind
from metaloop.vocabulary.records import Candidate, Config, Head, Outcome, Proposal, digest, effective
from metaloop.vocabulary.seeds import python_stream
from metaloop.vocabulary.space import Knob, Space, Value

BASELINE = 2.6
SPAN = 0.6
"""bpb: the untouched score, and the most that can be gained."""


def make_space() -> Space:
    """35 knobs, in the proportions of the nanoGPT target."""
    knobs = [
        Knob("lr_a", "optimizer", "float", 2e-3, 1e-4, 0.3, True),
        Knob("lr_b", "optimizer", "float", 2e-3, 1e-4, 1.0, True),
        Knob("lr_c", "optimizer", "float", 2e-3, 1e-4, 1.0, True),
        Knob("optimizer", "optimizer", "choice", "adamw", choices=("adamw", "muon")),
        Knob("tied", "architecture", "bool", True, choices=(False, True)),
        Knob("qk_norm", "architecture", "bool", False, choices=(False, True)),
        Knob("lambdas", "architecture", "bool", False, choices=(False, True)),
        Knob("activation", "architecture", "choice", "gelu", choices=("gelu", "relu2", "swiglu")),
        Knob("position", "architecture", "choice", "learned", choices=("learned", "rope")),
        Knob("embeddings", "architecture", "choice", "off", choices=("off", "plain", "gated")),
        Knob("window", "architecture", "choice", "L", choices=("L", "SL", "SSL", "SSSL")),
        Knob("shape", "schedule", "choice", "cosine", choices=("cosine", "linear", "sqrt")),
        Knob("init", "initialization", "choice", "scaled", choices=("scaled", "plain", "zero")),
        Knob("share", "architecture", "int", 1, 1, 4),
        Knob("depth", "architecture", "int", 4, 1, 16, True),
        Knob("batch", "batch", "float", 1.0, 0.125, 2.0, True),
        Knob("width", "architecture", "float", 1.0, 0.5, 2.0, True),
    ]
    knobs += [Knob(f"log_{i}", g, "float", 0.1, 0.01, 10.0, True) for i, g in enumerate(_groups(8))]
    knobs += [Knob(f"linear_{i}", g, "float", 0.2, 0.0, 1.0) for i, g in enumerate(_groups(10))]
    return Space(tuple(knobs))


def _groups(count: int) -> list[str]:
    names = ("regularization", "schedule", "initialization", "optimizer")
    return [names[i % len(names)] for i in range(count)]


class Objective:
    """One draw of the landscape; ``true`` is the score without noise, ``score`` what a training reports."""

    def __init__(self, seed: int, noise: float = 0.005) -> None:
        self.space = make_space()
        self._seed, self._noise = seed, noise
        rng = python_stream(seed, "objective")
        self._weight = {k.name: 0.5 * math.exp(rng.gauss(-2.2, 1.2)) for k in self.space}
        for name in ("lr_a", "lr_b", "batch"):
            self._weight[name] = 0.5 * rng.uniform(0.4, 1.0)
        self._best = {k.name: self._optimum(k, rng) for k in self.space}
        self._taste = {k.name: {c: rng.gauss(0, 0.5) for c in k.choices} for k in self.space if not k.numeric}
        names = [k.name for k in self.space if k.numeric]
        others = [k.name for k in self.space]
        self._pull = [(rng.choice(names), rng.choice(others), rng.gauss(0, 0.25)) for _ in range(12)]
        self._zero = self._bowl({})

    def _optimum(self, knob: Knob, rng: random.Random) -> float:
        if not knob.numeric:
            return 0.0
        return min(0.95, max(0.05, knob.to_unit(knob.default) + rng.gauss(0.0, 0.3)))

    def _bowl(self, config: Mapping[str, Value]) -> float:
        units = {k.name: k.to_unit(config.get(k.name, k.default)) for k in self.space}
        best = dict(self._best)
        for name, other, strength in self._pull:
            best[name] += strength * (units[other] - self.space[other].to_unit(self.space[other].default))
        total = 0.0
        for knob in self.space:
            if knob.numeric:
                off = units[knob.name] - best[knob.name]
                steep = 3.0 if off > 0 and knob.name.startswith("lr") else 1.0
                total += self._weight[knob.name] * steep * off * off / (0.15 + abs(off))
            else:
                total += self._weight[knob.name] * self._taste[knob.name][config.get(knob.name, knob.default)]
        return total

    def true(self, config: Mapping[str, Value]) -> float:
        """bpb: gains saturate at ``SPAN``, losses do not."""
        gain = self._zero - self._bowl(config)
        return BASELINE - (SPAN * (1 - math.exp(-gain / SPAN)) if gain > 0 else gain)

    def score(self, config: Mapping[str, Value], repeat: int = 0) -> float | None:
        """A noisy bpb, the same for the same configuration and seed; ``None`` where the training diverges."""
        bpb = self.true(config)
        if bpb > BASELINE + 0.6:
            return None
        return bpb + python_stream(self._seed, "noise", digest(dict(config)), repeat).gauss(0, self._noise)


def member(kind: RoleKind, name: str = "m", **policy: object) -> Member:
    """A scripted member with the default policy but for ``policy``."""
    assert set(policy) <= set(defaults(kind)), policy
    return Member(name, name, kind, {**defaults(kind), **policy}, "scripted", "")  # type: ignore[dict-item]


class Loop:
    """One proposer, one merger, one device: an org run without time or processes."""

    def __init__(self, objective: Objective, proposer: Member, merger: Member | None = None, seed: int = 0) -> None:
        self.objective, self.space = objective, objective.space
        self.proposer = make_brain(proposer, self.space, seed, ())
        self.merger = make_brain(merger or member("merger"), self.space, seed, ())
        self.defaults = self.space.defaults()
        self.config: Config = {}
        self.scores: dict[str, dict[int, float]] = {}
        self.outcomes: list[Outcome] = []
        self.observations: list[Observation] = []
        self.told = {"propose": 0, "judge": 0}
        self.index = self.merges = self.since = self.trained = 0
        self._train({}, 0, None)

    def _train(self, config: Config, repeat: int, proposal: Proposal | None) -> float | None:
        score = self.objective.score(config, repeat)
        if score is not None:
            self.scores.setdefault(digest(config), {})[repeat] = score
        head = self.scores.get(digest(self.config), {}).get(repeat)
        self.trained += 1
        self.since += 1
        self.outcomes.append(
            Outcome(
                experiment=f"e{self.trained}",
                proposal=proposal.id if proposal else None,
                author=proposal.author if proposal else "",
                team="",
                branch="main",
                purpose="candidate" if proposal else "incumbent",
                changes=proposal.changes if proposal else {},
                config=config,
                repeat=repeat,
                state="diverged" if score is None else "ok",
                bpb=score,
                delta=None if score is None or head is None or proposal is None else score - head,
            )
        )
        return score

    def _observe(self, question: str, **fields: object) -> Observation:
        news = tuple(self.outcomes[self.told[question] :])
        self.told[question] = len(self.outcomes)
        head = Head("main", f"c{self.merges}", self.config, self.scores.get(digest(self.config), {}), self.merges)
        seen = Observation(question, self.index, head, 0.0, news, since_merge=self.since, **fields)  # type: ignore[arg-type]
        self.index += 1
        return seen

    def step(self) -> Propose | None:
        """One proposal, its training(s) and its verdict."""
        observation = self._observe("propose")
        self.observations.append(observation)
        decision = self.proposer.decide(observation)
        if not isinstance(decision, Propose):
            self.trained += 1
            return None
        proposal = Proposal(f"p{self.index}", "m", "main", f"c{self.merges}", decision.changes, decision.hypothesis)
        config = effective(self.config, decision.changes, self.defaults)
        if self._train(config, 0, proposal) is not None:
            self._judge(proposal, config)
        return decision

    def _judge(self, proposal: Proposal, config: Config) -> None:
        while True:
            scores, head = self.scores[digest(config)], self.scores[digest(self.config)]
            candidate = Candidate(proposal, config, scores, head, head, False)
            verdict = self.merger.decide(self._observe("judge", candidate=candidate))
            assert isinstance(verdict, Judge)
            if verdict.verdict != "repeat":
                break
            for repeat in range(verdict.repeats):
                if repeat not in scores:
                    self._train(config, repeat, proposal)
                if repeat not in head:
                    self._train(self.config, repeat, None)
        if verdict.verdict == "merge":
            self.config, self.since = config, 0
            self.merges += 1

    def run(self, budget: int) -> float:
        """Train ``budget`` times; the true gain of the head over the baseline (bpb)."""
        while self.trained < budget:
            self.step()
        return self.objective.true({}) - self.objective.true(self.config)


def gains(proposer: Member, budget: int, seeds: range, merger: Member | None = None) -> list[float]:
    """True gains on the landscapes ``seeds``."""
    return [Loop(Objective(s), proposer, merger, s).run(budget) for s in seeds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategies", nargs="*", default=["random", "local", "tpe"], help="strategy or strategy:knob=x")
    parser.add_argument("--budget", type=int, nargs="+", default=[60, 120])
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    for spec in arguments.strategies:
        strategy, *pairs = spec.split(":")
        policy = {k: float(v) if "." in v else int(v) for k, v in (pair.split("=") for pair in pairs)}
        for budget in arguments.budget:
            found = gains(member("proposer", strategy=strategy, **policy), budget, range(arguments.seeds))
            error = stdev(found) / math.sqrt(len(found))
            print(f"{spec:40s} budget {budget:4d}  gain {fmean(found):.4f} ± {error:.4f}", flush=True)


if __name__ == "__main__":
    main()
