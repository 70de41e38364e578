"""What a model is offered: nothing that the question or its member's policy rules out."""

from __future__ import annotations

import pytest

from metaloop.brains.model.reply import Rules
from metaloop.brains.model.schema import schema, shown_values
from metaloop.vocabulary.decisions import Observation
from metaloop.vocabulary.models import ModelCard
from metaloop.vocabulary.records import Idea
from tests.brains import worlds as w

LARGE, SMALL = ModelCard("large"), ModelCard("small", values_shown=4, text_chars=80)
RULES = Rules(w.SPACE, min_gain=0.005)
HELD = (w.candidate(-0.01, number=3, changes={"beta": 0.8}),)


@pytest.mark.parametrize(
    ("observation", "rules", "verdicts"),
    [
        (w.judge(w.candidate(-0.02)), RULES, {"discard", "merge", "repeat", "hold"}),
        (w.judge(w.candidate(-0.001)), RULES, {"discard", "repeat", "hold"}),
        (w.judge(w.candidate(-0.02)), Rules(w.SPACE, min_gain=None), {"discard", "repeat", "hold"}),
        (w.judge(w.candidate(-0.02, stale=True)), RULES, {"discard", "merge", "repeat", "hold", "retest"}),
        (
            w.judge(w.candidate(-0.02, stale=True)),
            Rules(w.SPACE, min_gain=0.005, trust_stale=False),
            {"discard", "repeat", "hold", "retest"},
        ),
        (w.judge(w.candidate(-0.001, combined=True), held=HELD), RULES, {"discard", "repeat"}),
        (w.judge(w.candidate(-0.001), held=HELD), RULES, {"discard", "repeat", "hold", "combine"}),
        (w.judge(w.candidate(-0.02), budget_spent=1.0, held=HELD), RULES, {"discard", "merge"}),
        (w.judge(w.candidate(0.02), budget_spent=1.0), RULES, {"discard"}),
    ],
)
def test_only_verdicts_that_can_be_taken_are_offered(
    observation: Observation, rules: Rules, verdicts: set[str]
) -> None:
    fields = schema(observation, rules, LARGE)["properties"]
    assert set(fields["verdict"]["enum"]) == verdicts
    assert fields["repeats"]["maximum"] == 8


def test_only_what_is_held_can_be_combined() -> None:
    fields = schema(w.judge(w.candidate(-0.001), held=HELD), RULES, LARGE)["properties"]
    assert fields["together"]["items"]["enum"] == ["p3"]
    alone = schema(w.judge(w.candidate(-0.001)), RULES, LARGE)["properties"]
    assert alone["together"]["maxItems"] == 0


def test_an_idea_is_one_that_is_there() -> None:
    without = schema(w.propose(), RULES, LARGE)["properties"]["idea"]
    assert without == {"type": "null"}
    given = schema(w.propose(ideas=(Idea("i-1", "x", "y"),)), RULES, LARGE)["properties"]["idea"]
    assert given["enum"] == ["i-1", None]


def test_values_are_ranges_for_large_and_few_for_small_models() -> None:
    large, small = (schema(w.propose(), RULES, card)["properties"] for card in (LARGE, SMALL))
    lr_large, lr_small = (each["changes"]["items"]["anyOf"][0]["properties"]["value"] for each in (large, small))
    assert lr_large == {"type": "number", "minimum": 0.0001, "maximum": 1.0}
    assert lr_small == {"type": "number", "enum": shown_values(w.SPACE["lr"], 4)}
    assert ("maxItems" in large["changes"], small["changes"]["maxItems"]) == (False, 1)
    assert small["hypothesis"]["maxLength"] == 80


def test_shown_values_are_evenly_on_the_knob_s_scale() -> None:
    assert shown_values(w.SPACE["lr"], 5) == [0.0001, 0.001, 0.01, 0.1, 1.0]
    assert shown_values(w.SPACE["depth"], 20) == list(range(1, 13))


@pytest.mark.parametrize("question", ["propose", "review", "judge", "standup"])
def test_every_object_is_closed_and_complete(question: str) -> None:
    seen = {
        "propose": w.propose(),
        "review": w.review({"lr": 0.1}),
        "judge": w.judge(w.candidate(-0.02)),
        "standup": Observation("standup", 0, w.head(), 0.2),
    }[question]
    objects = [schema(seen, RULES, LARGE)]
    while objects:
        node = objects.pop()
        if node.get("type") == "object":
            assert node["required"] == list(node["properties"])
            assert node["additionalProperties"] is False
        assert "$ref" not in node
        objects += [part for part in [*node.get("properties", {}).values(), node.get("items")] if part]
        objects += node.get("anyOf", [])
