"""The second world: it reproduces the published course, repeats itself, and behaves like a trainer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

import pytest

from metaloop.execution.h100_world.course import MARKS, Row, compare, course
from metaloop.execution.h100_world.knobs import KNOBS, SPACE
from metaloop.execution.h100_world.landscape import BASELINE, FLOOR, Landscape
from metaloop.execution.h100_world.published import published
from metaloop.execution.h100_world.published_loop import Tried
from metaloop.execution.h100_world.trainer import H100Trainer
from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.files.org_file import load_organization
from metaloop.vocabulary.errors import TrainerError
from metaloop.vocabulary.records import Config, StopRule, TrainingRequest, TrainingResult
from metaloop.vocabulary.seeds import python_stream
from tests.execution.trainer_contract import TrainerContract

ROOT = Path(__file__).resolve().parents[2]
ORGANIZATIONS = sorted(path.parent for path in (ROOT / "orgs").rglob("ORG.md"))


def spec(data: str, preset: str = "h100-5min") -> TrainerSpec:
    return TrainerSpec("h100-5min", preset, data)


class TestH100Trainer(TrainerContract):
    spec = spec("3")


@pytest.fixture(scope="module")
def simulated() -> list[list[Tried]]:
    return course(range(200))


@pytest.fixture(scope="module")
def rows(simulated: list[list[Tried]]) -> dict[str, Row]:
    return {row.name: row for row in compare(simulated, published())}


@pytest.mark.parametrize("mark", MARKS)
def test_the_published_incumbent_is_inside_the_band(rows: dict[str, Row], mark: int) -> None:
    row = rows[f"incumbent after {mark}"]
    assert row.low <= row.published <= row.high
    assert row.width < 0.016, "a band that holds everything says nothing"


@pytest.mark.parametrize("kind", ["", ", hyperparameter", ", architecture", ", optimizer"])
def test_the_published_keep_rate_is_inside_the_band(rows: dict[str, Row], kind: str) -> None:
    assert rows[f"keep rate{kind}"].inside


def test_the_published_course_is_read_as_it_was_published() -> None:
    real = published()
    assert len(real) == 125
    assert sum(step.kept for step in real) == 22
    assert real[9].incumbent == pytest.approx(0.974729)
    assert real[-1].incumbent == pytest.approx(0.969686)


def test_no_world_contains_the_published_course(simulated: list[list[Tried]]) -> None:
    real = [step.delta for step in published()]
    for steps in simulated:
        assert not set(real[:10]) & {step.delta for step in steps}


def random_configs(count: int, most: int) -> list[Config]:
    rng = python_stream(7, "configs")
    return [{knob.name: knob.sample(rng) for knob in rng.sample(KNOBS, rng.randint(1, most))} for _ in range(count)]


def test_no_configuration_falls_below_the_floor() -> None:
    for world in range(5):
        landscape = Landscape(world)
        for config in random_configs(300, len(KNOBS)):
            assert landscape.stand(config).bpb > BASELINE - FLOOR


def test_hill_climbing_without_noise_stops_at_the_floor() -> None:
    """A climber that sees the truth, for much longer than any run: the landscape has no hole."""
    rng = python_stream(1, "climb")
    landscape, config, best = Landscape(11), Config(), BASELINE
    for _ in range(6000):
        knob = rng.choice(KNOBS)
        tried = {**config, knob.name: knob.sample(rng)}
        bpb = landscape.stand(tried).bpb
        if bpb < best:
            config, best = tried, bpb
    assert BASELINE - FLOOR < best < BASELINE - 0.6 * FLOOR


def test_the_order_of_knobs_and_spelled_out_defaults_change_nothing() -> None:
    trainer = H100Trainer(5)
    config = random_configs(1, 20)[0]
    turned = dict(reversed(list(config.items())))
    whole = {**SPACE.defaults(), **config}
    results = [trainer.train(TrainingRequest(each, 9)) for each in (config, turned, whole)]
    assert results[0] == results[1] == results[2]


def test_a_process_with_another_hash_seed_answers_alike() -> None:
    code = (
        "from metaloop.execution.trainer import TrainerSpec, make; from metaloop.vocabulary.records import *;"
        "t = make(TrainerSpec('h100-5min', 'h100-5min', '12'), gpu=False);"
        "c = {'depth': 9, 'matrix_lr': 0.05, 'window_pattern': 'SSSSL', 'warmdown_ratio': 0.7};"
        "print([t.simulate(TrainingRequest(c, s, ('val', 'confirm')), v) for s in range(5) for v in (1.0, 0.7)])"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(answers) == 1


def scores(trainer: H100Trainer, config: Config, seeds: Sequence[int]) -> list[float]:
    return [trainer.train(TrainingRequest(config, seed)).bpb["val"] for seed in seeds]


def test_noise_is_as_large_as_published_and_partly_shared() -> None:
    trainer, seeds = H100Trainer(2), range(400)
    one, other = scores(trainer, {}, seeds), scores(trainer, {"matrix_lr": 0.041}, seeds)
    assert 0.0005 < stdev(one) < 0.0007
    paired = stdev([a - b for a, b in zip(one, other, strict=True)])
    assert 0.0003 < paired < 0.0006 < 0.8 * 2**0.5 * stdev(one)


def test_screening_ends_at_the_first_point_past_its_fraction() -> None:
    trainer = H100Trainer(2)
    whole = trainer.train(TrainingRequest({}, 1))
    bar = whole.curve[2].bpb
    stopped = trainer.train(TrainingRequest({}, 1, stop=StopRule(0.3, bar - 1e-6)))
    assert (stopped.state, stopped.bpb) == ("stopped", {})
    assert stopped.curve == whole.curve[:3]
    assert stopped.seconds == whole.curve[2].seconds < whole.seconds
    assert trainer.train(TrainingRequest({}, 1, stop=StopRule(0.3, bar + 1e-6))) == whole
    assert trainer.train(TrainingRequest({}, 1, stop=StopRule(0.8, 0.0))) == whole, "the end is scored, not stopped"


def failures() -> dict[str, TrainingResult]:
    found: dict[str, TrainingResult] = {}
    for world in range(10):
        trainer = H100Trainer(world)
        for config in random_configs(60, len(KNOBS)):
            result = trainer.train(TrainingRequest(config, 0))
            found.setdefault(result.state, result)
    return found


def test_whatever_fails_has_no_score_and_ends_early() -> None:
    found = failures()
    assert set(found) == {"ok", "crash", "oom", "diverged"}
    for state in ("crash", "oom", "diverged"):
        assert (found[state].bpb, found[state].curve) == ({}, ())
        assert 0 < found[state].seconds < 60
        assert found[state].message


def test_a_slow_device_takes_as_long_and_does_less() -> None:
    trainer = H100Trainer(2)
    fast, slow = (trainer.simulate(TrainingRequest({}, 1), speed) for speed in (1.0, 782 / 953))
    assert slow.steps == pytest.approx(782, abs=1)
    assert slow.bpb["val"] - fast.bpb["val"] == pytest.approx(0.0106, abs=0.001)  # published: 1.008 to 1.009
    assert fast.seconds == pytest.approx(325.8)
    assert fast.seconds < slow.seconds < fast.seconds + 10
    assert trainer.train(TrainingRequest({}, 1)) == fast


def test_a_smaller_budget_is_shorter_and_worse() -> None:
    trainer = H100Trainer(2)
    whole, half = (trainer.train(TrainingRequest({}, 1, budget_fraction=share)) for share in (1.0, 0.5))
    assert whole.seconds - half.seconds == pytest.approx(150)
    assert half.bpb["val"] > whole.bpb["val"] + 0.02


def test_splits_are_close_but_not_equal() -> None:
    trainer = H100Trainer(2)
    results = [trainer.train(TrainingRequest({}, s, ("val", "holdout", "confirm"))).bpb for s in range(50)]
    for split in ("holdout", "confirm"):
        apart = [bpb[split] - bpb["val"] for bpb in results]
        assert 0.0001 < stdev(apart) < 0.0004
        assert 0.001 < abs(fmean(apart)) < 0.003


@pytest.mark.parametrize("folder", ORGANIZATIONS, ids=lambda path: path.name)
def test_every_shipped_organization_finds_its_focus(folder: Path) -> None:
    for member in load_organization(folder).members:
        focus = member.policy.get("focus", ())
        assert isinstance(focus, tuple | list)
        assert set(focus) <= set(SPACE.groups)


def test_worlds_differ_and_name_themselves() -> None:
    one, other = describe(spec("0")), describe(spec("1"))
    assert one.identity["world"] != other.identity["world"]
    assert one.knobs == other.knobs
    config: Config = {"total_batch_log2": 18}
    assert Landscape(0).stand(config).bpb != Landscape(1).stand(config).bpb


@pytest.mark.parametrize("data", ["stdlib", "", "-1", "01", "1.0", "٣"])
def test_data_that_is_no_world_seed_is_refused(data: str) -> None:
    with pytest.raises(TrainerError, match="the seed of its world"):
        describe(spec(data))


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(TrainerError, match="unknown preset 'cpu-tiny'"):
        describe(spec("0", "cpu-tiny"))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (TrainingRequest({"dept": 9}, 0), r"unknown knob 'dept' \(did you mean 'depth'\?\)"),
        (TrainingRequest({"depth": 99}, 0), "depth must lie in"),
        (TrainingRequest({"depth": True}, 0), "depth must be a number"),
        (TrainingRequest({}, 0, ("vla",)), "unknown split 'vla'"),
        (TrainingRequest({}, 0, budget_fraction=0.0), "budget_fraction"),
    ],
)
def test_a_request_that_makes_no_sense_is_the_callers_error(request_: TrainingRequest, message: str) -> None:
    with pytest.raises(TrainerError, match=message):
        H100Trainer(0).train(request_)
