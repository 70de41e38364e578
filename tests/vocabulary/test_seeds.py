"""Named seed streams."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from metaloop.vocabulary.seeds import Streams, confirmation_seed, derive, python_stream, training_seed

roots = st.integers(0, 2**40)


def test_a_stream_is_the_same_on_every_machine_and_under_every_hash_seed() -> None:
    code = "from metaloop.vocabulary.seeds import derive; print(derive(7, 'brain', 'solo', 3))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": h}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for h in ("0", "1")
    }
    assert seen == {str(derive(7, "brain", "solo", 3))}


@given(roots, st.integers(0, 1000))
def test_members_and_harness_never_share_a_seed(root: int, repeat: int) -> None:
    members = {training_seed(root, r) for r in range(8)}
    assert confirmation_seed(root, repeat) not in members
    assert 0 <= confirmation_seed(root, repeat) < 2**31


def test_path_elements_do_not_run_together() -> None:
    assert derive(1, "a", "bc") != derive(1, "ab", "c")
    assert python_stream(1, "x").random() != python_stream(1, "y").random()


@given(roots, st.lists(st.integers(0, 10**6), min_size=1, max_size=4))
def test_a_generator_seeded_anew_draws_what_a_new_one_draws(root: int, numbers: list[int]) -> None:
    streams = Streams(root, "brain", "solo")
    for number in numbers:
        one, other = streams.at(number), python_stream(root, "brain", "solo", number)
        assert [one.random(), one.gauss(0, 1), one.random()] == [other.random(), other.gauss(0, 1), other.random()]
