"""A model that answers whatever fits the schema, drawn from what it was asked: the same question, the same answer."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.brains.model.server import Handler, says


def guesses(handler: Handler) -> None:
    """Answer the request at hand with an instance of its schema."""
    request = handler.desk.requests[-1]
    schema = request["response_format"]["json_schema"]["schema"]
    says(instance(schema, random.Random(json.dumps(request["messages"]))))(handler)


def instance(schema: dict[str, Any], rng: random.Random) -> Any:
    """A value that a schema of :mod:`metaloop.brains.model.schema` allows."""
    if "anyOf" in schema:
        return instance(rng.choice(schema["anyOf"]), rng)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema["type"]
    if kind == "object":
        return {name: instance(part, rng) for name, part in schema["properties"].items()}
    if kind == "array":
        return [instance(schema["items"], rng) for _ in range(1)] if "anyOf" in schema["items"] else []
    if kind == "integer":
        return rng.randint(int(schema.get("minimum", 1)), int(schema.get("maximum", 4)))
    if kind == "number":
        return rng.uniform(schema.get("minimum", -0.1), schema.get("maximum", 0.1))
    return {"string": "because", "boolean": rng.random() < 0.5, "null": None}[kind]
