"""What every brain owes: one test class that every kind and strategy inherits."""

from __future__ import annotations

import msgspec
import pytest

from metaloop.brains.brain import Brain
from metaloop.brains.registry import make_brain
from metaloop.files.policies import POLICIES
from metaloop.vocabulary.decisions import (
    Decision,
    Found,
    Judge,
    Observation,
    Pass,
    Propose,
    Review,
    StandUp,
)
from metaloop.vocabulary.errors import MetaloopError
from metaloop.vocabulary.organization import Member, RoleKind
from metaloop.vocabulary.records import Cost, Head, Idea, Outcome, effective
from tests.brains import worlds as w
from tests.brains.objective import Loop, Objective, member


def told_at_once(observations: list[Observation], upto: int) -> Observation:
    """The last of the observations, as a brain sees it that was born just now."""
    news = tuple(outcome for observation in observations[: upto + 1] for outcome in observation.news)
    return msgspec.structs.replace(observations[upto], news=news)


class BrainContract:
    """Subclasses say who is asked, and give a life of observations."""

    kind: RoleKind
    answers: tuple[type, ...]

    def subject(self) -> Member:
        raise NotImplementedError

    def life(self) -> list[Observation]:
        raise NotImplementedError

    def born(self, seed: int = 7) -> Brain:
        colleagues = (member("proposer", "ann"), member("proposer", "bob"))
        return make_brain(self.subject(), w.SPACE, seed, colleagues)

    def decisions(self, seed: int = 7) -> list[Decision]:
        brain = self.born(seed)
        return [brain.decide(observation) for observation in self.life()]

    def test_the_same_seed_decides_the_same(self) -> None:
        assert self.decisions() == self.decisions()

    def test_a_brain_born_again_and_told_everything_decides_the_same(self) -> None:
        life, lived = self.life(), self.decisions()
        for i in range(0, len(life), 3):
            assert self.born().decide(told_at_once(life, i)) == lived[i]

    def test_answers_are_of_the_right_kind_and_free(self) -> None:
        for decision in self.decisions():
            assert isinstance(decision, self.answers)
            assert decision.cost == Cost()

    def test_observations_are_left_as_they_were(self) -> None:
        life = self.life()
        before = msgspec.json.encode(life)
        brain = self.born()
        for observation in life:
            brain.decide(observation)
        assert msgspec.json.encode(life) == before

    def test_no_news_at_all_is_no_problem(self) -> None:
        blank = msgspec.structs.replace(self.life()[0], news=())
        assert isinstance(self.born().decide(blank), self.answers)

    def test_trainings_without_a_score_are_no_problem(self) -> None:
        dead = tuple(w.outcome(i, {"lr": 0.5, "depth": i}, None) for i in range(1, 4))
        nothing = msgspec.structs.replace(w.outcome(9, {"decay": 0.3}, 0.1), delta=None)
        screened = w.outcome(10, {"decay": 0.9}, None, state="stopped")
        stranger = w.outcome(11, {"lr": 0.3}, -0.1, base={"beta": 0.7, "act": "relu2"})
        seen = msgspec.structs.replace(self.life()[0], news=(*dead, nothing, screened, stranger))
        assert isinstance(self.born().decide(seen), self.answers)


class ProposerContract(BrainContract):
    kind: RoleKind = "proposer"
    answers = (Propose, Pass)
    strategy = "local"
    length = 25

    def subject(self) -> Member:
        return member("proposer", strategy=self.strategy, startup_trials=4, plateau_after=5, idea_share=0.2)

    def life(self) -> list[Observation]:
        """Decisions whose outcomes come back, with merges of what was better; the middle of it comes late."""
        brain, truth = self.born(), _Truth()
        config, news, life = {}, [w.BASELINE], []
        ideas = (Idea("i1", "try wide", "a person", {"width": 128}), Idea("i2", "think", "a person"))
        since = 0
        for index in range(self.length):
            late = 8 <= index < 12
            seen = Observation(
                "propose",
                index,
                Head("main", f"c{len(config)}", config, {0: truth(config)}, 0),
                0.1,
                () if late else tuple(news),
                ideas=ideas,
                since_merge=since,
            )
            news = news if late else []
            life.append(seen)
            decision = brain.decide(seen)
            since += 1
            if not isinstance(decision, Propose):
                continue
            trained = effective(config, decision.changes, w.DEFAULTS)
            delta = truth(trained) - truth(config)
            news.append(w.outcome(index + 1, decision.changes, delta, config, bpb=truth(trained)))
            if delta < 0:
                config, since = trained, 0
        return life

    def test_proposals_are_valid_and_new(self) -> None:
        trained = []
        for seen, decision in zip(self.life(), self.decisions(), strict=True):
            trained += [outcome.config for outcome in seen.news]
            if isinstance(decision, Propose):
                assert decision.changes == w.SPACE.validate(decision.changes)
                config = effective(seen.head.config, decision.changes, w.DEFAULTS)
                assert config not in trained
                assert config != seen.head.config
                assert decision.hypothesis
                assert "\n" not in decision.hypothesis
            else:
                assert isinstance(decision, Pass)
                assert decision.reason

    def test_it_is_not_idle(self) -> None:
        assert sum(isinstance(decision, Propose) for decision in self.decisions()) >= self.length - 2


class _Truth:
    def __call__(self, config: dict) -> float:  # type: ignore[type-arg]
        knobs = {k.name: k.to_unit(config.get(k.name, k.default)) for k in w.SPACE}
        return 2.0 + sum((u - 0.6) ** 2 for u in knobs.values()) / 10


class TestLocal(ProposerContract):
    strategy = "local"


class TestRandom(ProposerContract):
    strategy = "random"


class TestTpe(ProposerContract):
    strategy = "tpe"
    length = 12


class TestAblation(ProposerContract):
    strategy = "ablation"

    def test_it_is_not_idle(self) -> None:
        """Probes run out."""


class TestCombine(ProposerContract):
    strategy = "combine"


class TestExplore(ProposerContract):
    strategy = "explore"


class TestIdeas(ProposerContract):
    strategy = "ideas"

    def test_it_is_not_idle(self) -> None:
        proposed = [d for d in self.decisions() if isinstance(d, Propose)]
        assert [d.idea for d in proposed] == ["i1"]


class TestBayes(ProposerContract):
    strategy = "bayes"


class TestReviewer(BrainContract):
    kind: RoleKind = "reviewer"
    answers = (Review,)

    def subject(self) -> Member:
        return member("reviewer", novelty=0.02, min_predicted_gain=0.001, predictor="neighbours")

    def life(self) -> list[Observation]:
        deltas = (0.01, -0.02, 0.0, 0.03, -0.01)
        made: list[Outcome] = [w.outcome(i + 1, {"lr": 0.02 + i / 50}, d) for i, d in enumerate(deltas)]
        steps = [w.review({"lr": 0.3}, (w.BASELINE,))]
        steps += [w.review({"lr": 0.5, "depth": 3 + i}, (each,)) for i, each in enumerate(made)]
        return [msgspec.structs.replace(o, index=i) for i, o in enumerate(steps)]


class MergerContract(BrainContract):
    kind: RoleKind = "merger"
    answers = (Judge,)
    strategy = "greedy"

    def subject(self) -> Member:
        return member("merger", strategy=self.strategy, near_miss=0.005)

    def life(self) -> list[Observation]:
        held = (w.candidate(-0.02, number=3, changes={"beta": 0.8}),)
        shown = [
            w.judge(w.candidate(-0.01)),
            w.judge(w.candidate(0.001), held=held),
            w.judge(w.candidate(-0.01, -0.02, -0.01)),
            w.judge(w.candidate(-0.01, stale=True)),
            w.judge(w.candidate(-0.01), budget_spent=1.0, held=held),
        ]
        return [msgspec.structs.replace(o, index=i) for i, o in enumerate(shown)]

    def test_once_the_budget_is_spent_only_merge_and_discard_are_left(self) -> None:
        held = tuple(w.candidate(-0.01, number=i, changes={"depth": i}) for i in range(5, 8))
        for deltas in ((-0.01,), (0.0,), (0.002,), (-0.01, -0.02)):
            for stale in (False, True):
                for combined in (False, True):
                    about = w.candidate(*deltas, stale=stale, combined=combined)
                    verdict = self.born().decide(w.judge(about, budget_spent=1.0, held=held))
                    assert isinstance(verdict, Judge)
                    assert verdict.verdict in ("merge", "discard")


class TestGreedy(MergerContract):
    strategy = "greedy"


class TestTesting(MergerContract):
    strategy = "test"


class TestBatch(MergerContract):
    strategy = "batch"


class TestNever(MergerContract):
    strategy = "never"


class DirectorContract(BrainContract):
    kind: RoleKind = "director"
    answers = (StandUp,)
    strategy = "refocus"

    def subject(self) -> Member:
        return member("director", strategy=self.strategy)

    def life(self) -> list[Observation]:
        news = [w.outcome(i, {"lr": 0.01 + i / 99}, -0.01) for i in range(1, 4)]
        return [Observation("standup", i, w.head(), 0.2, (each,), since_merge=i * 9) for i, each in enumerate(news)]


class TestRefocus(DirectorContract):
    strategy = "refocus"


class TestRotate(DirectorContract):
    strategy = "rotate"


class TestLeaveBe(DirectorContract):
    strategy = "none"


class TestScout(BrainContract):
    kind: RoleKind = "scout"
    answers = (Found,)

    def subject(self) -> Member:
        return member("scout")

    def life(self) -> list[Observation]:
        news = [w.outcome(i, {"lr": 0.01 + i / 99}, -0.01) for i in range(1, 4)]
        return [Observation("scout", i, w.head(), 0.2, (each,)) for i, each in enumerate(news)]


def test_every_strategy_has_a_brain() -> None:
    for kind, space in POLICIES.items():
        strategies = space["strategy"].choices if "strategy" in space else ("",)
        for strategy in strategies:
            policy = {"strategy": strategy} if strategy else {}
            assert make_brain(member(kind, **policy), w.SPACE, 0, ())


def test_a_brain_that_does_not_exist_yet_is_named() -> None:
    unknown = msgspec.structs.replace(member("proposer", "ann"), brain="some-model")
    with pytest.raises(MetaloopError, match=r"ann.*some-model.*scripted"):
        make_brain(unknown, w.SPACE, 0, ())


def test_local_is_far_better_than_random() -> None:
    def total(strategy: str) -> float:
        proposer = member("proposer", strategy=strategy)
        return sum(Loop(Objective(seed), proposer, seed=seed).run(60) for seed in range(4))

    assert total("local") > total("random") + 4 * 0.1
