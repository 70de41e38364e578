"""The JSON schema of an answer: what servers constrain a model's decoding by, as well as they can.

It is made from the reply's type (:mod:`metaloop.brains.model.reply`), and offers only what the question and the
member's policy allow. Many servers ignore bounds, so that every reply is checked again when it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from metaloop.brains.model.reply import MOST_REPEATS, Rules, combinable, no_merge, reply_type, single
from metaloop.vocabulary.code import MOST_EDITS, Edit
from metaloop.vocabulary.decisions import Observation
from metaloop.vocabulary.models import ModelCard
from metaloop.vocabulary.space import Knob, Value

_JSON_TYPES = {"float": "number", "int": "integer", "bool": "boolean", "choice": "string"}


def schema(observation: Observation, rules: Rules, card: ModelCard) -> dict[str, Any]:
    """The JSON schema of an answer: every field required, none besides, references resolved.

    What the question and the member's policy rule out is no choice. What a small model needs, its card says: few values
    of a number, evenly on its own scale, one change at a time, short texts.
    """
    made, parts = msgspec.json.schema_components([reply_type(observation)])
    plain: dict[str, Any] = _strict(made[0], parts)
    fields = plain["properties"]
    if observation.question == "propose":
        fields["changes"]["items"] = {"anyOf": [_change(knob, card.values_shown) for knob in rules.space.knobs]}
        if card.values_shown:
            fields["changes"]["maxItems"] = 1
        if observation.sources:
            fields["edits"] |= _edits(observation.sources, rules.offers)
        ideas = [idea.id for idea in observation.ideas]
        fields["idea"] = {"type": ["string", "null"], "enum": [*ideas, None]} if ideas else {"type": "null"}
    elif observation.question == "judge":
        held = combinable(observation)
        fields["verdict"]["enum"] = _verdicts(observation, rules)
        fields["repeats"] |= {"minimum": 1, "maximum": MOST_REPEATS}
        fields["together"] |= {"items": {"type": "string", "enum": held}} if held else {"maxItems": 0}
    elif observation.question == "standup":
        pointer = fields["steering"]["items"]["properties"]
        pointer["focus"]["items"]["enum"] = list(rules.space.groups)
        pointer["member"]["enum"] = list(rules.proposers)
    for name in ("hypothesis", "reason", "minutes"):
        if card.text_chars and name in fields:
            fields[name]["maxLength"] = card.text_chars
    return plain


def _edits(sources: Mapping[str, str], offers: Sequence[Edit]) -> dict[str, Any]:
    """Edits of the files that are shown; of those that are offered, one."""
    if offers:
        chosen = [
            closed({name: {"type": "string", "enum": [value]} for name, value in msgspec.structs.asdict(edit).items()})
            for edit in offers
        ]
        return {"maxItems": 1, "items": {"anyOf": chosen}}
    text = {"type": "string"}
    path = {"type": "string", "enum": list(sources)}
    return {"maxItems": MOST_EDITS, "items": closed({"path": path, "find": text, "replace": text})}


def _verdicts(observation: Observation, rules: Rules) -> list[str]:
    """Those that can be taken."""
    candidate = observation.candidate
    assert candidate is not None
    found = ["discard"]
    if no_merge(candidate, rules) is None:
        found.append("merge")
    if observation.budget_spent < 1.0:
        found += ["repeat"]
        found += ["retest"] if candidate.stale else []
        if single(candidate):
            found += ["hold", "combine"] if combinable(observation) else ["hold"]
    return found


def _strict(node: Any, parts: dict[str, Any]) -> Any:
    """With references put in place, and every object closed and complete."""
    if isinstance(node, list):
        return [_strict(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return _strict({**parts[node["$ref"].rsplit("/", 1)[-1]], **rest}, parts)
    found = {key: _strict(value, parts) for key, value in node.items() if key not in ("title", "default")}
    return {**found, **closed(found["properties"])} if found.get("type") == "object" else found


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _change(knob: Knob, values_shown: int) -> dict[str, Any]:
    return closed({"knob": {"type": "string", "enum": [knob.name]}, "value": _value(knob, values_shown)})


def _value(knob: Knob, values_shown: int) -> dict[str, Any]:
    kind = _JSON_TYPES[knob.kind]
    if not knob.numeric:
        return {"type": kind, "enum": list(knob.choices)}
    if values_shown:
        return {"type": kind, "enum": shown_values(knob, values_shown)}
    return {"type": kind, "minimum": knob.low, "maximum": knob.high}


def shown_values(knob: Knob, count: int) -> list[Value]:
    """``count`` values evenly on a numeric knob's own scale, ends included; fewer where they fall together."""
    steps = max(1, count - 1)
    return list(dict.fromkeys(knob.from_unit(step / steps) for step in range(count)))
