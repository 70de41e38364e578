"""Ranks that share a training: the same training as one's alone, and one end for all. Real processes, real gloo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nanogpt.prepare import Corpus, load_corpus
from nanogpt.ranks import Alone, Together
from nanogpt.train import StopRule, TrainRequest, train

CLOCKED = ("seconds", "cpu_seconds", "startup_seconds", "peak_bytes")


class Group:
    """So many processes; asked for a training, every one of them answers."""

    def __init__(self, count: int, folder: Path, cache: Path) -> None:
        script = str(Path(__file__).with_name("rank_process.py"))
        places = [str(folder / f"meeting-of-{count}"), str(cache)]
        self.processes = [
            subprocess.Popen(
                [sys.executable, script, str(rank), str(count), *places], stdin=-1, stdout=-1, text=True,
                env={"PYTHONPATH": str(Path.cwd()), "PATH": ""},
            )
            for rank in range(count)
        ]  # fmt: skip

    def ask(self, request: dict[str, Any], **fail: object) -> list[dict[str, Any]]:
        """The answers of all ranks, by rank; empty for one that died."""
        line = json.dumps({"request": {"preset": "cpu-micro", **request}, "fail": fail}) + "\n"
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(line)
            process.stdin.flush()
        said = [process.stdout.readline() for process in self.processes if process.stdout]
        return [json.loads(answer) if answer else {} for answer in said]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks-cache")


@pytest.fixture(scope="module")
def shared_corpus(cache: Path) -> Corpus:
    return load_corpus(cache=cache)


@pytest.fixture(scope="module")
def two(cache: Path, shared_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """``shared_corpus``: so that it is prepared once, before any process wants it."""
    group = Group(2, tmp_path_factory.mktemp("two"), cache)
    yield group
    group.close()


def repeatable(result: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the clock."""
    kept = {name: value for name, value in result.items() if name not in CLOCKED}
    return kept | {"curve": [{**point, "seconds": 0.0} for point in kept["curve"]]}


def agree(shared: dict[str, Any], alone: dict[str, Any]) -> None:
    """The same training up to the order of sums, which training amplifies (measured at the baseline: 5e-8 bpb)."""
    for name in ("state", "steps", "tokens", "flops", "parameters"):
        assert shared[name] == alone[name], name
    for ours, theirs in zip(shared["curve"], alone["curve"], strict=True):
        assert (ours["fraction"], ours["step"]) == (theirs["fraction"], theirs["step"])
        assert ours["val_bpb"] == pytest.approx(theirs["val_bpb"], abs=1e-4)
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-4)
    assert shared["bpb"]["val"] == pytest.approx(alone["bpb"]["val"], abs=1e-4)


@pytest.mark.parametrize(
    "knobs",
    [{}, {"batch_scale": 0.3125, "matrix_optimizer": "muon", "z_loss": 1e-4}],
    ids=["whole shares", "a batch of five"],
)
def test_two_ranks_train_what_one_trains(two: Group, shared_corpus: Corpus, knobs: dict[str, Any]) -> None:
    alone = train(TrainRequest("cpu-micro", knobs, 3), shared_corpus).to_dict()
    first, second = two.ask({"knobs": knobs, "seed": 3})
    agree(first, alone)
    assert (second["state"], second["steps"], second["curve"]) == ("ok", first["steps"], []), "it evaluates nothing"
    again = two.ask({"knobs": knobs, "seed": 3})
    assert repeatable(again[0]) == repeatable(first), "bitwise"
    assert again[1]["weights"] == second["weights"], "bitwise"


@pytest.mark.slow
@pytest.mark.long
def test_more_ranks_than_rows(cache: Path, shared_corpus: Corpus, tmp_path: Path) -> None:
    """Five ranks on a batch of four: one of them adds nothing, and is there all the same."""
    knobs = {"batch_scale": 0.25}
    group = Group(5, tmp_path, cache)
    try:
        shared = group.ask({"knobs": knobs, "budget_fraction": 0.3})[0]
    finally:
        group.close()
    agree(shared, train(TrainRequest("cpu-micro", knobs, budget_fraction=0.3), shared_corpus).to_dict())


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize(("how", "state"), [("oom", "oom"), ("bug", "crash"), ("nan", "diverged")])
@pytest.mark.parametrize("step", [0, 5])
def test_what_happens_to_one_rank_ends_the_training_of_all(
    two: Group, rank: int, how: str, state: str, step: int
) -> None:
    answers = two.ask({}, rank=rank, step=step, how=how)
    assert [answer["state"] for answer in answers] == [state, state]
    assert answers[0]["bpb"] == {}
    assert answers[0]["steps"] == (step + 1 if how == "nan" else step)
    if how != "nan":
        assert answers[1 - rank]["message"].endswith(f"(rank {rank} of 2)")
    assert two.ask({"budget_fraction": 0.1})[0]["state"] == "ok", "the group goes on"


def test_the_first_rank_stops_them_all(two: Group, shared_corpus: Corpus) -> None:
    rule = {"fraction": 0.25, "bpb_at_most": 0.1}
    alone = train(TrainRequest("cpu-micro", stop=StopRule(**rule)), shared_corpus)
    answers = two.ask({"stop": rule})
    assert [answer["state"] for answer in answers] == ["stopped", "stopped"]
    assert (answers[0]["steps"], len(answers[0]["curve"])) == (alone.steps, len(alone.curve))
    limited = two.ask({"time_limit_s": 0.0})
    assert [answer["state"] for answer in limited] == ["timeout", "timeout"]


def test_an_invalid_request_is_refused_by_all(two: Group) -> None:
    assert [answer["state"] for answer in two.ask({"knobs": {"nope": 1}})] == ["invalid", "invalid"]
    assert two.ask({"budget_fraction": 0.1})[0]["state"] == "ok", "the group goes on"


def test_a_rank_that_dies_is_an_error_and_no_result(cache: Path, shared_corpus: Corpus, tmp_path: Path) -> None:
    group = Group(2, tmp_path, cache)
    try:
        first, second = group.ask({}, rank=1, step=4, how="die")
    finally:
        group.close()
    assert (first["state"], second) == ("lost", {})


@pytest.mark.parametrize("count", [2, 3, 7])
def test_shares_cover_the_batch_once_and_are_even(count: int) -> None:
    for rows in (1, 2, 5, 16, 64, 100):
        shares = [Together(rank, count).share(rows) for rank in range(count)]
        assert [row for share in shares for row in share] == list(Alone().share(rows))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
