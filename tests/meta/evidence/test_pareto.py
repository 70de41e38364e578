"""On the front is exactly what nothing dominates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metaloop.meta.evidence.pareto import Place, front

few = st.integers(0, 3).map(float)
places = st.lists(st.builds(Place, st.just("o"), few, few, few), min_size=1, max_size=10)


def dominates(one: Place, other: Place) -> bool:
    as_good = one.gain_bpb >= other.gain_bpb and one.tokens <= other.tokens and one.usd <= other.usd
    better = one.gain_bpb > other.gain_bpb or one.tokens < other.tokens or one.usd < other.usd
    return as_good and better


@given(places)
def test_the_front_is_what_nothing_dominates(found: list[Place]) -> None:
    marked = front(found)
    assert len(marked) == len(found)
    on_front = [place for place in marked if place.on_front]
    assert on_front
    for place in marked:
        assert place.on_front == (not any(dominates(other, place) for other in marked))
        assert place.on_front or any(dominates(other, place) for other in on_front)


def test_more_gain_for_more_money_is_a_choice_and_less_gain_for_more_is_none() -> None:
    marked = front([Place("cheap", 1.0, 0, 0.0), Place("dear", 2.0, 1000, 5.0), Place("worse", 0.5, 10, 1.0)])
    assert {place.organization: place.on_front for place in marked} == {"dear": True, "cheap": True, "worse": False}
    assert marked[0].organization == "dear"
