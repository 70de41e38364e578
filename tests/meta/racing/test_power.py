"""How many blocks a difference needs: against SciPy, against simulation, and the same for the same seed."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from scipy import stats

from metaloop.meta.racing.power import Question, acceptance_times, fixed_blocks, fixed_power, need, sequential_blocks
from metaloop.meta.racing.sequential import EFFECTS, reached, summarize
from metaloop.vocabulary.seeds import numpy_stream

ASKED = Question(relative=0.2, variation=0.25 * math.sqrt(2), alpha=0.05 / 8, power=0.9, most=300, effects=EFFECTS)


@pytest.mark.parametrize(("blocks", "effect", "alpha"), [(2, 0.5, 0.05), (12, 0.57, 0.05), (48, 0.57, 0.00625)])
def test_fixed_power_is_the_noncentral_t(blocks: int, effect: float, alpha: float) -> None:
    edge = stats.t.ppf(1 - alpha, blocks - 1)
    theirs = stats.nct.sf(edge, blocks - 1, effect * math.sqrt(blocks))
    assert fixed_power(blocks, effect, alpha) == pytest.approx(theirs, rel=1e-6)


def test_fixed_power_is_what_simulated_t_tests_find() -> None:
    pairs = 0.5 + numpy_stream(0, "test-power").standard_normal((4000, 20))
    found = (stats.ttest_1samp(pairs, 0.0, axis=1, alternative="greater").pvalue < 0.05).mean()
    assert fixed_power(20, 0.5, 0.05) == pytest.approx(found, abs=0.03)


def test_the_fixed_number_is_the_fewest_that_suffice() -> None:
    blocks = fixed_blocks(ASKED)
    assert blocks is not None
    assert fixed_power(blocks, ASKED.effect, ASKED.alpha) >= 0.9 > fixed_power(blocks - 1, ASKED.effect, ASKED.alpha)


def test_the_sequential_number_gives_the_power_on_other_courses() -> None:
    blocks, mean = sequential_blocks(ASKED, 2000, seed=0)
    assert blocks is not None
    assert mean is not None
    times = acceptance_times(ASKED, 2000, seed=1, until=2000)
    assert (times <= blocks).mean() == pytest.approx(0.9, abs=0.03)
    assert np.minimum(times, blocks).mean() == pytest.approx(mean, rel=0.05)
    assert mean < blocks


def test_a_course_is_accepted_where_the_test_of_a_race_says_so() -> None:
    question = msgspec.structs.replace(ASKED, most=70)
    times = acceptance_times(question, 100, seed=3, until=100)
    rng = numpy_stream(3, "racing-power")
    courses = question.effect + np.hstack([rng.standard_normal((100, 64)), rng.standard_normal((100, 6))])
    for course, time in zip(courses[:10].tolist(), times[:10], strict=True):
        looks = [n for n in range(1, 71) if reached(summarize(course[:n]), 1 / question.alpha, EFFECTS)]
        assert time == (looks[0] if looks else math.inf)


def test_looking_costs_blocks_at_most_but_not_on_average() -> None:
    answer = need(ASKED, gpu_hours=0.02, courses=1000, seed=0)
    assert answer.fixed is not None
    assert answer.sequential is not None
    assert answer.mean is not None
    assert answer.mean < answer.fixed < answer.sequential
    assert answer.fixed_gpu_hours == pytest.approx(2 * 0.02 * answer.fixed)
    assert answer.sequential_gpu_hours == pytest.approx(2 * 0.02 * answer.sequential)
    assert answer.mean_gpu_hours == pytest.approx(2 * 0.02 * answer.mean)


def test_a_smaller_difference_needs_more() -> None:
    smaller = need(msgspec.structs.replace(ASKED, relative=0.15), 1.0, 500, seed=0)
    larger = need(ASKED, 1.0, 500, seed=0)
    assert smaller.fixed is not None
    assert larger.fixed is not None
    assert smaller.fixed > larger.fixed
    assert smaller.sequential is not None
    assert larger.sequential is not None
    assert smaller.sequential > larger.sequential


def test_the_same_seed_gives_the_same_answer() -> None:
    assert need(ASKED, 1.0, 300, seed=5) == need(ASKED, 1.0, 300, seed=5)
    assert (acceptance_times(ASKED, 300, 5, 300) != acceptance_times(ASKED, 300, 6, 300)).any()


def test_what_cannot_be_found_is_said() -> None:
    hopeless = need(msgspec.structs.replace(ASKED, relative=0.001), 1.0, 100, seed=0)
    assert hopeless.fixed is None
    assert hopeless.sequential is None
    assert hopeless.mean_gpu_hours is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"relative": 0.0}, "relative difference"),
        ({"variation": math.nan}, "variation"),
        ({"alpha": 1.0}, "alpha and power"),
        ({"power": 0.0}, "alpha and power"),
        ({"most": 1}, "at least 2 blocks"),
        ({"effects": ()}, "effects"),
        ({"effects": (0.0,)}, "effects"),
    ],
)
def test_bad_questions_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        need(msgspec.structs.replace(ASKED, **change), 1.0, 100, seed=0)


def test_bad_costs_and_too_few_courses_are_refused() -> None:
    with pytest.raises(ValueError, match="GPU-hours"):
        need(ASKED, 0.0, 100, seed=0)
    with pytest.raises(ValueError, match="100 courses"):
        need(ASKED, 1.0, 99, seed=0)
