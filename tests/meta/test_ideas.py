"""What became of an idea: followed from the queue to a confirmed gain."""

from __future__ import annotations

from typing import Any

import pytest

from metaloop.actors.messages import IdeaArrived
from metaloop.files.policies import defaults
from metaloop.files.run_folder import Confirmation
from metaloop.meta.confirmed import Scores, confirm_merges
from metaloop.meta.ideas import fates
from metaloop.meta.results import IdeaFate
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.organization import Member, Organization, RoleKind
from metaloop.vocabulary.records import Idea
from tests.driver import Driver

GOOD = Idea("i-good", "a better rate", "a paper", {"lr": 0.01}, "https://x.org/1")
BAD = Idea("i-bad", "a worse batch", "a person", {"batch": 256})
SAME = Idea("i-same", "the rate again", "a feed", {"lr": 0.01})
PROSE = Idea("i-prose", "think harder", "a poster")


def member(kind: RoleKind, name: str = "", **policy: Any) -> Member:
    return Member(name or kind, name or kind, kind, {**defaults(kind), **policy}, "scripted", "")


def lived(*ideas: Idea, merger: Member | None = None) -> Driver:
    members = (member("proposer", "taker", strategy="ideas"), merger or member("merger"))
    driver = Driver(Organization("test", "", "", members, inbox=True), 0, 30.0, devices=1)
    driver.run(until=lambda d: d.now > 2)
    for idea in ideas:
        driver._send(driver.now, IdeaArrived(idea))
    driver.run()
    return driver


def by_id(driver: Driver, confirmations: list[Confirmation] | None = None) -> dict[str, IdeaFate]:
    events = driver.journal.events
    return {fate.idea: fate for fate in fates(events, confirm_merges(events, Scores(confirmations or [])))}


def test_each_idea_has_its_fate_with_source_and_link() -> None:
    driver = lived(GOOD, BAD, PROSE)
    told = by_id(driver)
    assert {name: fate.status for name, fate in told.items()} == {
        "i-good": "merged",
        "i-bad": "tried",
        "i-prose": "waiting",
    }
    good, bad = told["i-good"], told["i-bad"]
    assert (good.source, good.link, good.changes) == ("a paper", "https://x.org/1", {"lr": 0.01})
    merge = next(e for e in driver.journal.events if isinstance(e, ev.Merged))
    assert (good.merge, good.proposal, good.delta) == (merge.commit, merge.proposal, merge.delta)
    assert good.delta is not None
    assert good.delta < 0
    assert bad.delta is not None
    assert bad.delta > 0
    assert bad.merge is None
    assert len(bad.experiments) == 1
    assert told["i-prose"].proposals == ()
    assert (good.confirmed_delta, good.pairs) == (None, 0)


def test_the_confirmed_gain_is_the_harness_own() -> None:
    driver = lived(GOOD)
    merge = next(e for e in driver.journal.events if isinstance(e, ev.Merged))
    scores = {merge.parent: (3.0, 3.01), merge.commit: (2.9, 2.93)}
    given = [
        Confirmation(commit, {}, pair, pair, "ok", {"confirm": values[pair], "holdout": 9.0}, 1.0)
        for commit, values in scores.items()
        for pair in range(2)
    ]
    good = by_id(driver, given)["i-good"]
    assert good.confirmed_delta == pytest.approx(-0.09)
    assert good.confirmed_ci95 is not None
    assert good.confirmed_ci95[0] < -0.09 < good.confirmed_ci95[1]
    assert good.pairs == 2


def test_a_second_idea_of_the_same_change_is_not_credited() -> None:
    told = by_id(lived(GOOD, SAME))
    assert told["i-good"].status == "merged"
    assert told["i-same"].merge is None


def test_what_was_merged_with_others_is_said_to_be_shared() -> None:
    other = Idea("i-act", "squared", "a paper", {"activation": "relu2"})
    merger = member("merger", strategy="batch", batch_size=2)
    told = by_id(lived(GOOD, other, merger=merger))
    assert [fate.status for fate in told.values()] == ["merged", "merged"]
    assert all(fate.shared for fate in told.values())
    assert len({fate.merge for fate in told.values()}) == 1
    assert told["i-good"].proposals != told["i-act"].proposals
