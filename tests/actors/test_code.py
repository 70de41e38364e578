"""Experiments that edit code: rebase, conflict, combination, bisection, integration, and the price of lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from metaloop.actors.messages import Ask, Decided
from metaloop.actors.run_context import Granted
from metaloop.actors.state import replay
from metaloop.files.policies import defaults
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.code import FILE, Edit, files_of, texts_of
from metaloop.vocabulary.decisions import Pass, Propose
from metaloop.vocabulary.models import ModelCard, ThinkingTerms
from metaloop.vocabulary.organization import Member, Organization, RoleKind
from metaloop.vocabulary.records import TRUNK, Config, TrainingRequest, TrainingResult
from tests.driver import Driver

FILES = {
    "net.py": "".join(f"x{i} = {i}.0\n" for i in range(8)),
    "opt.py": "rate = 1.0\n",
}
BASE_BPB = 3.0
MODELS = ThinkingTerms((ModelCard("m", base_url="http://nobody.invalid/v1"),))
"""Scripted brains are shown no code; this one is never asked."""


@dataclass(frozen=True)
class Idea:
    """A change set with nothing random about it."""

    changes: Config
    edits: tuple[Edit, ...] = ()


def line(number: int, value: str = "0.5") -> Edit:
    """An edit of one line of ``net.py``; each such line is worth 0.1 bpb."""
    return Edit("net.py", f"x{number} = {number}.0", f"x{number} = {value}")


def score(request: TrainingRequest) -> TrainingResult:
    """0.1 bpb for every line that was turned to 0.5, 0.05 against every one at 9.0; two poisons together cost 1."""
    text = request.code.get("net.py", FILES["net.py"])
    bpb = BASE_BPB - 0.1 * text.count("= 0.5\n") + 0.05 * text.count("= 9.0\n")
    bpb += 1.0 if text.count("= 7.7\n") > 1 else -0.1 * text.count("= 7.7\n")
    bpb -= 0.2 if request.config.get("norm") else 0.0
    return TrainingResult("ok", 1.0, {"val": bpb})


def member(kind: RoleKind, name: str = "", team: str = "", *, edits: bool = False, **policy: Any) -> Member:
    return Member(
        name or kind,
        name or kind,
        kind,
        {**defaults(kind), **policy},
        "m" if edits else "scripted",
        "",
        team,
        (),
        edits,
    )


def run(ideas: list[Idea], *others: Member, edits: bool = True, team: str = "", **terms: Any) -> Driver:
    """An org run whose one proposer has these ideas, in turn, whatever is said to it."""
    proposer = member("proposer", "coder", team, edits=edits)
    devices = terms.pop("devices", 1)
    organization = Organization("test", "", "", (proposer, *others), **terms)
    granted = Granted(editable=FILES)
    driver = Driver(organization, budget_s=40.0, devices=devices, train=score, granted=granted, thinking=MODELS)
    seen: list[dict[str, str]] = []
    left = list(ideas)

    def handle(ask: Ask) -> Decided:
        seen.append(ask.observation.sources)
        decision = Pass("out of ideas") if not left else propose(left.pop(0))
        return Decided(ask.ask, ask.actor, decision)

    driver.actors["coder"].handle = handle  # type: ignore[method-assign]
    driver.seen = seen  # type: ignore[attr-defined]
    driver.run()
    assert replay(driver.journal.events, driver.state.teams) == driver.state, "invariant 2"
    return driver


def propose(idea: Idea) -> Propose:
    return Propose(idea.changes, "it helps", edits=idea.edits)


def trunk_text(driver: Driver, path: str = "net.py") -> str:
    config = driver.state.branches[TRUNK].config
    return texts_of(config, driver.state.sources).get(path, FILES[path])


def events(driver: Driver, kind: type) -> list[Any]:
    return [event for event in driver.journal.events if isinstance(event, kind)]


def rejections(driver: Driver) -> list[str]:
    return [event.reason for event in events(driver, ev.Rejected)]


def test_an_edit_is_trained_as_it_stands_and_merged() -> None:
    driver = run([Idea({}, (line(1),))], member("merger"))
    (merged,) = events(driver, ev.Merged)
    assert merged.delta == pytest.approx(-0.1)
    assert list(files_of(merged.config)) == ["net.py"]
    assert trunk_text(driver) == FILES["net.py"].replace("x1 = 1.0", "x1 = 0.5")


def test_knobs_and_code_go_together() -> None:
    driver = run([Idea({"norm": True}, (line(1),))], member("merger"))
    (merged,) = events(driver, ev.Merged)
    assert merged.delta == pytest.approx(-0.3)
    assert merged.config["norm"] is True


def test_who_may_edit_sees_the_files_of_the_head() -> None:
    driver = run([Idea({}, (line(1),))], member("merger"))
    assert driver.seen[0] == FILES  # type: ignore[attr-defined]
    assert driver.seen[-1]["net.py"] == trunk_text(driver)  # type: ignore[attr-defined]


def test_who_may_not_edit_sees_no_files_and_edits_none() -> None:
    driver = run([Idea({}, (line(1),))], member("merger"), edits=False)
    assert driver.seen[0] == {}  # type: ignore[attr-defined]
    assert rejections(driver) == ["invalid: it edits files, and its author's role has no tool Edit"]


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (Edit("evaluator.py", "a", "b"), "invalid: 'evaluator.py' is no editable file; editable: net.py, opt.py"),
        (Edit("../net.py", "x1", "x2"), "invalid: '../net.py' is no editable file"),
        (Edit("net.py", "x1 = 1.0", "x1 = ("), "invalid: net.py:2: it is no Python any more"),
        (Edit("net.py", "= ", "=="), "invalid: net.py: the passage '=' occurs 8 times"),
        (Edit("net.py", "x1 = 1.0", "x1 = 1.0  # one"), "duplicate: it is the head itself"),
    ],
)
def test_what_cannot_be_trained_is_turned_away(edit: Edit, complaint: str) -> None:
    driver = run([Idea({}, (edit,))], member("merger"))
    assert rejections(driver)[0].startswith(complaint)
    assert not events(driver, ev.SourceWritten)


def test_the_same_code_is_not_trained_twice() -> None:
    driver = run([Idea({}, (line(1),)), Idea({}, (line(1, "0.5  # again"),))], member("merger", strategy="never"))
    assert rejections(driver) == ["duplicate of e2, which was trained"]


def test_a_file_taken_back_is_as_if_it_had_never_changed() -> None:
    back = Edit("net.py", "x1 = 0.5", "x1 = 1.0")
    driver = run([Idea({}, (line(1),)), Idea({"norm": True}, (back,))], member("merger"))
    assert len(events(driver, ev.Merged)) == 2
    assert driver.state.branches[TRUNK].config == {"norm": True}


def test_a_winner_over_an_older_head_is_rebased_and_trained_again() -> None:
    driver = run([Idea({}, (line(1),)), Idea({}, (line(2),))], member("merger"), devices=2)
    assert trunk_text(driver).count("= 0.5\n") == 2
    assert [e.verdict for e in events(driver, ev.Judged)].count("retest") == 1


def test_edits_of_the_same_passage_conflict() -> None:
    driver = run([Idea({}, (line(1),)), Idea({}, (line(1, "7.7"),))], member("merger"), devices=2)
    assert trunk_text(driver).count("= 0.5\n") == 1
    (conflict,) = rejections(driver)
    assert conflict.startswith("conflict: net.py: the passage 'x1 = 1.0' occurs 0 times")


def test_trusting_the_sum_does_not_merge_a_conflict() -> None:
    driver = run([Idea({}, (line(1),)), Idea({}, (line(1, "7.7"),))], member("merger", on_stale="trust"), devices=2)
    assert len(events(driver, ev.Merged)) == 1
    assert any(e.reason.startswith("conflict: net.py") for e in events(driver, ev.Judged))


def test_winners_are_combined_and_conflicting_ones_left_out() -> None:
    ideas = [Idea({}, (line(1),)), Idea({}, (line(1, "7.7"),)), Idea({}, (line(2),))]
    driver = run(ideas, member("merger", strategy="batch", batch_size=3), devices=3)
    reopened = [e for e in events(driver, ev.Judged) if e.verdict == "reopen"]
    assert next(e.reason for e in reopened) == "its edits conflict with those of the others"
    assert trunk_text(driver).count("= 0.5\n") + trunk_text(driver).count("= 7.7\n") == 2


def test_a_combination_that_does_not_add_up_is_bisected() -> None:
    ideas = [Idea({}, (line(i, "7.7" if i in (1, 4) else "0.5"),)) for i in range(1, 5)]
    driver = run(ideas, member("merger", strategy="batch", batch_size=4), devices=4)
    combinations = [e.proposal for e in events(driver, ev.Proposed) if e.proposal.purpose == "combination"]
    assert [len(proposal.parts) for proposal in combinations[:3]] == [4, 2, 2]
    merged = {part for e in events(driver, ev.Merged) for part in driver.state.proposals[e.proposal].proposal.parts}
    assert merged, "a half held"
    assert trunk_text(driver).count("= 7.7\n") <= 1, "the pair that does not get along is not on trunk"


def test_a_team_integrates_its_code() -> None:
    driver = run(
        [Idea({}, (line(1),)), Idea({}, (line(2),))],
        member("merger", "team-merger", "a"),
        member("merger", "trunk-merger"),
        team="a",
        branching="teams",
    )
    assert trunk_text(driver).count("= 0.5\n") == 2
    assert {e.branch for e in events(driver, ev.Merged)} == {"team/a", TRUNK}


def test_lines_have_a_price() -> None:
    padded = Edit("net.py", "x1 = 1.0\n", "x1 = 0.5\n" + "".join(f"y{i} = {i}\n" for i in range(30)))
    dear = member("merger", gain_per_line=0.01)
    assert not events(run([Idea({}, (padded,))], dear), ev.Merged), "0.1 bpb for 30 lines at 0.01 each"
    assert events(run([Idea({}, (padded,))], member("merger")), ev.Merged)


def test_taking_lines_away_is_welcome_even_at_no_gain() -> None:
    deletion = Edit("net.py", "x5 = 5.0\nx6 = 6.0\n", "")
    driver = run([Idea({}, (deletion,))], member("merger"))
    (merged,) = events(driver, ev.Merged)
    assert merged.delta == 0.0
    assert "x5" not in trunk_text(driver)


def test_a_run_that_died_goes_on_with_its_code() -> None:
    driver = run([Idea({}, (line(1),))], member("merger"))
    again = replay(driver.journal.events[: len(driver.journal.events) // 2], driver.state.teams)
    assert again.sources == {e.digest: e.text for e in driver.journal.events if isinstance(e, ev.SourceWritten)}
    assert all(name.startswith(FILE) for name in driver.state.branches[TRUNK].config)
