"""``knobs.yaml``: the whole configuration in an org run's repository, one knob a line, in the target's order.

A merge's diff is its change. A coding agent edits it, so it is read back strictly: every knob, once, in its range.
"""

from __future__ import annotations

import json
from pathlib import Path

from metaloop.files.form import Form, refusal
from metaloop.files.markdown import parse_yaml
from metaloop.vocabulary.records import Config
from metaloop.vocabulary.space import Space, Value

KNOBS_FILE = "knobs.yaml"


def knobs_file(space: Space, config: Config) -> str:
    """The configuration as YAML, grouped, one knob a line (JSON scalars are YAML scalars)."""
    lines = ["# The accepted configuration. Only merges change it."]
    for group in space.groups:
        lines += ["", f"# {group}"]
        lines += [f"{k.name}: {scalar(config.get(k.name, k.default))}" for k in space.in_groups((group,))]
    return "\n".join(lines) + "\n"


def read_knobs(text: str, space: Space) -> Config:
    """The value of every knob.

    Raises:
        FileError: (``knobs.yaml:line``) no YAML, a knob missing, unknown, written twice, or out of its range.
    """
    form = Form(parse_yaml(text, Path(KNOBS_FILE)))
    known = {knob.name: knob for knob in space}
    found = form.mapping((), tuple(known), tuple(known))
    for name in found:
        if name in known and (wrong := refusal(known[name], found[name])):
            form.fault((name,), f"{name} {wrong}")
    if form.faults:
        raise min(form.faults, key=lambda fault: fault.line or 0)
    return space.validate(found)


def scalar(value: Value) -> str:
    """A value as the file spells it."""
    return json.dumps(value)
