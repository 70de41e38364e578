"""A command for the contract: it reads its prompt and answers from the schema or the knobs, as drawn from it."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from typing import Any


def propose(prompt: str, rng: random.Random) -> None:
    """Put the knob ``lr`` somewhere, and edit a line."""
    knobs = Path("knobs.yaml")
    knobs.write_text(re.sub(r"^lr: .*$", f"lr: {rng.uniform(0.001, 0.9):.4g}", knobs.read_text(), flags=re.MULTILINE))
    model = Path("nanogpt/model.py")
    if "`nanogpt/model.py`" in prompt and rng.random() < 0.5:
        model.write_text(re.sub(r"WIDTH = \d+", f"WIDTH = {rng.randint(65, 99)}", model.read_text()))
    Path("PROPOSAL.md").write_text("The step is too short.\n\npredicted-delta: -0.01\n")


def instance(schema: dict[str, Any], rng: random.Random) -> Any:
    """A value that the schema allows."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if schema["type"] == "object":
        return {name: instance(part, rng) for name, part in schema["properties"].items()}
    plain = {"string": "because", "boolean": rng.random() < 0.5, "integer": 2, "number": 1.0, "array": [], "null": None}
    return plain[schema["type"]]


def main() -> None:
    prompt = Path(sys.argv[1]).read_text()
    rng = random.Random(prompt)
    schema = re.search(r"^\{.*\"properties\".*\}$", prompt, re.MULTILINE)
    if schema:
        Path(sys.argv[2]).write_text(json.dumps(instance(json.loads(schema[0]), rng)))
    else:
        propose(prompt, rng)
    Path(sys.argv[3]).write_text(json.dumps({"input_tokens": len(prompt), "output_tokens": 5, "usd": 0.25}))


if __name__ == "__main__":
    main()
