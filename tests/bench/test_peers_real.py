"""Peers in real time, with workers that answer at once."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from bench.peers.course import Course
from bench.peers.protocol import Verdict
from bench.peers.real import Workers, run_real
from bench.peers.sides import organization_command
from bench.peers.terms import Terms
from bench.peers.worker import Message
from metaloop.edges.commands.resume import resume_command
from metaloop.edges.commands.run import run_command
from metaloop.vocabulary import events as ev
from metaloop.vocabulary.records import TrainingRequest, TrainingResult
from tests.bench.test_peers_virtual import SPACE, Formula, Scripted

HOUR = 3600.0


class Instant(Workers):
    """Tells each training of :class:`Formula` message by message, and checks that every point is answered."""

    def __init__(self) -> None:
        self.trainer = Formula()
        self.begun: list[dict[str, object]] = []
        self._due: dict[int, deque[Message]] = {}
        self._asked: set[int] = set()

    def order(self, device: int, request: TrainingRequest, *, watched: bool) -> None:
        assert watched
        assert not self._due.get(device)
        self.begun.append(dict(request.config))
        result = self.trainer.train(request)
        points = [Message(point=point) for point in result.curve if point.fraction < 1]
        self._due[device] = deque([*points, Message(result=result)])

    def answer(self, device: int, goes_on: bool) -> None:
        self._asked.remove(device)
        if not goes_on:
            self._due[device] = deque([Message(result=TrainingResult("stopped", 1.0))])

    def wait(self, timeout: float | None) -> list[int]:
        return sorted(device for device, due in self._due.items() if due)

    def listen(self, device: int) -> Message:
        assert device not in self._asked
        message = self._due[device].popleft()
        if message.point is not None:
            self._asked.add(device)
        return message


def run(peer: Scripted, devices: int, budget_s: float = HOUR) -> tuple[Course, Instant]:
    workers = Instant()
    return run_real(peer, Course("peer", 7, devices, budget_s, SPACE), workers), workers


def test_trainings_are_told_point_by_point_and_the_best_is_the_incumbent() -> None:
    peer = Scripted(lambda trial, resource: Verdict.STOP if trial == "t1" else Verdict.GO, (0, 1, 2, 99))
    course, workers = run(peer, 2)
    assert workers.begun == [{}, {"x": 1}, {"x": 2}, {"x": 99}]
    assert sorted(peer.ends) == [("t0", 3.0), ("t2", 2.98), ("t99", None)]
    assert [point for point in peer.points if point[0] == "t1"] == [("t1", 1, 3.865)]
    assert course.states == {"ok": 2, "stopped": 1, "diverged": 1}
    assert [dict(e.config) for e in course.events if isinstance(e, ev.Merged)] == [{"x": 2}]
    assert sum(isinstance(e, ev.Released) for e in course.events) == 2


def test_a_paused_training_begins_anew_and_tells_only_what_is_new() -> None:
    def pause_once(trial: str, resource: int) -> Verdict:
        if resource != 2:
            return Verdict.GO
        peer.resume.append(trial)
        return Verdict.PAUSE

    peer = Scripted(pause_once, (4,))
    course, workers = run(peer, 1)
    assert workers.begun == [{"x": 4}, {"x": 4}]
    assert [resource for _, resource, _ in peer.points] == [1, 2, 4, 6]
    assert peer.ends == [("t4", 2.96)]
    assert course.states == {"ok": 1}


def test_nothing_begins_once_the_budget_is_spent() -> None:
    course, workers = run(Scripted(), 2, budget_s=0.0)
    assert workers.begun == []
    assert sum(isinstance(e, ev.Released) for e in course.events) == 2


def test_an_organizations_command_is_one_that_metaloop_knows(tmp_path: Path) -> None:
    terms = Terms({"mine": "orgs/mine"}, (), True, 70_000, 10, 0.02, 2, 4, "python")
    words = organization_command(terms, "mine", 70_003, tmp_path / "mine")
    assert (words[0], words[3]) == ("python", "run")
    given = run_command.make_context("run", words[4:]).params
    wanted = {"gpu_hours": 0.02, "devices": 2, "seed": 70_003, "seeds": 1, "confirm_pairs": 4, "backend": "ray"}
    assert given == given | wanted
    assert given["organizations"] == (Path("orgs/mine"),)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run.json").touch()
    words = organization_command(terms, "mine", 70_003, tmp_path / "mine")
    assert words[3] == "resume"
    assert resume_command.make_context("resume", words[4:]).params["as_json"] is True
