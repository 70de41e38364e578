"""The record: who is compared with whom, what an effect is, and JSON there and back."""

from __future__ import annotations

import msgspec
import pytest

from metaloop.meta.evidence.lineage import unified_diff
from metaloop.meta.evidence.report import Evidence, observe
from metaloop.meta.mutations.draft import Draft
from metaloop.vocabulary.errors import UsageError
from tests.meta.evidence.made import BUDGET, LIBRARY, SHIPPED, around, evidence, named, on_half, results

GAINS = {
    "evolved": around(1.2),
    "daily-standup": around(1.0, 3),
    "twin": around(1.2, 1),
    "tpe": around(1.1, 5),
    "no-op": [0.0] * 10,
    "undo-quorum": around(1.2),
}


def test_parent_and_controls_are_one_family_and_twins_are_not() -> None:
    world = observe("simulated", results(GAINS), "evolved", "daily-standup", twins=("twin",))
    parts = {s.name: s.part for s in world.standings}
    assert parts == {
        "evolved": "evolved", "twin": "twin", "tpe": "control", "daily-standup": "parent", "no-op": "control",
    }  # fmt: skip
    against = {s.name: s.evolved_minus for s in world.standings}
    assert against["evolved"] is None
    corrected = {name for name, pair in against.items() if pair is not None and pair.p_t_holm is not None}
    assert corrected == {"daily-standup", "tpe", "no-op"}
    twin, nothing = against["twin"], against["no-op"]
    assert twin is not None
    assert twin.p_t is not None
    assert twin.p_t > 0.5
    assert nothing is not None
    assert nothing.difference_bpb == pytest.approx(1.2)


def test_hours_are_to_the_strongest_control_for_child_and_parent() -> None:
    world = observe("simulated", results(GAINS), "evolved", "daily-standup")
    assert world.strongest_control == "tpe"
    times = {time.organization: time for time in world.hours_to_control}
    assert times["evolved"].share == pytest.approx(0.5)
    assert times["evolved"].budget_hours == BUDGET
    assert times["daily-standup"].share is None
    assert [curve.organization for curve in world.anytime.curves] == ["evolved", "tpe", "daily-standup", "no-op"]
    assert [place.organization for place in world.pareto if place.on_front] == ["evolved"]


def test_trunks_confirmed_at_their_ends_have_no_course() -> None:
    whole = results(GAINS)
    ends = msgspec.structs.replace(whole, terms=msgspec.structs.replace(whole.terms, confirm="ends"))
    world = observe("real", ends, "evolved", "daily-standup")
    assert world.strongest_control == "tpe"
    assert world.hours_to_control == ()
    assert {(s.anytime_area, s.false_merges) for s in world.standings} == {(None, None)}


def test_who_was_granted_less_may_be_there_sooner_though_only_ends_are_known() -> None:
    whole = results(GAINS)
    ends = msgspec.structs.replace(whole, terms=msgspec.structs.replace(whole.terms, confirm="ends"))
    world = observe("real, half", on_half(ends, "evolved"), "evolved", "daily-standup")
    assert world.evolved_gpu_hours == BUDGET / 2
    assert [time.organization for time in world.hours_to_control] == ["evolved"]


def test_a_parent_that_is_a_control_is_one_still() -> None:
    world = observe("simulated", results({"evolved": around(1.2), "tpe": around(1.1)}), "evolved", "tpe")
    assert world.strongest_control == "tpe"
    assert {s.name: s.part for s in world.standings} == {"evolved": "evolved", "tpe": "parent"}


def test_an_organization_that_did_not_run_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"no organization 'evolved', only tpe"):
        observe("real", results({"tpe": around(1.0)}), "evolved", "daily-standup")


def test_worth_is_the_gain_that_goes_when_the_change_goes() -> None:
    found = evidence().ablation
    assert found is not None
    worth = {effect.change: effect.worth for effect in found.effects}
    lookahead, boldness = worth["cadence.lookahead 1 -> 3"], worth["local-proposer: boldness 0.25 -> 0.5"]
    assert lookahead is not None
    assert boldness is not None
    assert lookahead.difference_bpb == 0.0
    assert boldness.difference_bpb == pytest.approx(0.15)
    assert boldness.p_t_holm == pytest.approx(2 * (boldness.p_t or 0.0))
    assert found.whole is not None
    assert found.whole.difference_bpb == pytest.approx(0.2)
    assert not any(effect.inert for effect in found.effects)


def test_the_record_survives_json() -> None:
    whole = evidence()
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Evidence) == whole


def test_a_diff_shows_changed_lines_and_names_new_roles() -> None:
    parent = SHIPPED["daily-standup"]
    draft = Draft.of(parent).add(1, {"role": "careful-proposer"}, LIBRARY["careful-proposer"])
    diff = unified_diff(parent, named(draft.take_out(2).finish()))
    changed = [line for line in diff.splitlines() if line[0] in "+-" and line[:3] not in ("---", "+++")]
    assert sorted(changed) == ["+  - role: careful-proposer", "-  - role: explorer"]
    assert "--- /dev/null\n+++ careful-proposer.md\n" in diff
    assert "--- explorer.md\n+++ /dev/null\n" in diff
    assert "name:" not in diff
