"""When scouts are asked, what becomes of what they find, and that a replay knows it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from metaloop.actors.role_actor import RoleActor
from metaloop.actors.state import replay
from metaloop.files.journal import MemoryJournal, encode
from metaloop.files.policies import defaults
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.models import ThinkingTerms
from metaloop.vocabulary.organization import Member, Organization, RoleKind
from metaloop.vocabulary.sources import ScoutTerms, Source
from tests.driver import SPACE, Driver, Faults


def member(kind: RoleKind, name: str = "", **policy: Any) -> Member:
    return Member(name or kind, name or kind, kind, {**defaults(kind), **policy}, "scripted", "")


def note(folder: Path, number: int, changes: str = "") -> None:
    words = " ".join(f"w{number}x{place}" for place in range(9))
    (folder / f"n{number:03}.md").write_text(f"---\ntitle: Note {number}\n{changes}\n---\n{words}")


def driver(folder: Path, *scouts: Member, proposer: Member | None = None, **terms: Any) -> Driver:
    """A driver whose scouts read a folder of notes."""
    proposer = proposer or member("proposer", strategy="ideas")
    members = (proposer, member("proposer", "other"), member("merger"), *scouts)
    made = Driver(Organization("test", "", "", members, inbox=True), **{"budget_s": 40.0, **terms})
    sources = (Source("notes", "folder", str(folder)),)
    for scout in scouts:
        thinking = ThinkingTerms(scouting=ScoutTerms(sources, live=False))
        made.actors[scout.name] = RoleActor(scout, SPACE, 0, members, thinking)
    return made


def events(journal: MemoryJournal, kind: type) -> list[Any]:
    return [event for event in journal.events if isinstance(event, kind)]


def test_a_note_becomes_an_idea_a_proposal_and_a_training(tmp_path: Path) -> None:
    note(tmp_path, 1, "changes: {warmup: 0.2}\nlink: https://x.org/1")
    made = driver(tmp_path, member("scout"))
    state = made.run()
    (added,) = events(made.journal, ev.IdeaAdded)
    assert (added.t < 0.1, added.idea.source, added.idea.link) == (True, "notes", "https://x.org/1")
    taken = [e.proposal for e in events(made.journal, ev.Proposed) if e.proposal.idea]
    assert [(p.author, p.changes) for p in taken][:1] == [("proposer", {"warmup": 0.2})]
    assert any(e.proposal == taken[0].id for e in (x.experiment for x in state.experiments.values()))
    assert not state.ideas


def test_it_looks_at_its_cadence_and_only_while_the_queue_is_low(tmp_path: Path) -> None:
    for number in range(20):
        note(tmp_path, number)
    made = driver(tmp_path, member("scout", every=4, most_open=5, most_new=2))
    made.run()
    looked = events(made.journal, ev.Scouted)
    assert [e.found for e in looked] == [2, 2, 2]
    finished, at = 0, []
    for event in made.journal.events:
        finished += isinstance(event, ev.Finished)
        at += [finished] if isinstance(event, ev.Scouted) else []
    assert at[0] == 0
    assert all(later - earlier >= 4 for earlier, later in pairwise(at))
    assert len({e.idea.id for e in events(made.journal, ev.IdeaAdded)}) == 6


def test_two_scouts_bring_the_same_once(tmp_path: Path) -> None:
    note(tmp_path, 1)
    made = driver(tmp_path, member("scout", "one"), member("scout", "two"))
    made.run(until=lambda d: len(events(d.journal, ev.Scouted)) == 2)
    assert sorted(e.found for e in events(made.journal, ev.Scouted)) == [0, 1]
    assert len(events(made.journal, ev.IdeaAdded)) == 1


def test_a_replay_knows_what_was_found_and_the_same_seed_repeats_it(tmp_path: Path) -> None:
    for number in range(8):
        note(tmp_path, number, f"changes: {{warmup: 0.{number % 5 + 1}}}")
    first, second = (driver(tmp_path, member("scout", every=3, most_new=2)) for _ in range(2))
    state = first.run()
    second.run()
    assert [encode(e) for e in first.journal.events] == [encode(e) for e in second.journal.events]
    again = replay(first.journal.events, first.state.teams)
    assert again.ideas == state.ideas
    assert again.all_ideas == state.all_ideas
    assert again.scouted_at == state.scouted_at
    assert again == state


def test_scouts_and_all_others_may_die_and_nothing_is_added_twice(tmp_path: Path) -> None:
    for number in range(8):
        note(tmp_path, number)
    made = driver(tmp_path, member("scout", every=2, most_new=2), faults=Faults(3, device=0.2, actor=0.2, until=20))
    made.run(until=lambda d: d.now > 8)
    made.crash_and_resume()
    state = made.run()
    added = [e.idea.id for e in events(made.journal, ev.IdeaAdded)]
    assert len(added) == len(set(added))
    assert state.ended


def test_a_scout_without_an_answer_is_not_asked_again_at_once(tmp_path: Path) -> None:
    from tests.actors.test_refusals import refusing

    made = driver(tmp_path, member("scout", every=5))
    refusing(made, "scout")
    made.run()
    refused = [e for e in events(made.journal, ev.Refused) if e.question == "scout"]
    assert 2 <= len(refused) <= 5
    assert made.state.ended


def test_ideas_of_old_journals_are_read() -> None:
    old = msgspec.json.decode(b'{"id":"i-1","text":"t","source":"s","changes":{}}', type=ev.Idea)
    assert (old.link, old.proven) == ("", False)
