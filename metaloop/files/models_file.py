"""Reading a models file: which models, coding agents and people may decide for members, and what they cost. YAML::

models:
  some-model:
    base_url: https://api.example.com/v1
    usd_per_million_prompt: 0.25
agents:
  some-agent:
    command: [some-agent, --headless, "{prompt}"]
human:
  deadline_s: 600
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

import msgspec

from metaloop.files.form import Form, refusal, show
from metaloop.files.markdown import Keys, parse_yaml, read_text
from metaloop.vocabulary.agents import HUMAN, PLACEHOLDERS, AgentCard, HumanTerms, UsageReport, placeholders
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.models import ModelCard, ReplyFormat, Thinkers
from metaloop.vocabulary.space import Knob
from metaloop.vocabulary.text import nearest

SHIPPED = Path(__file__).with_name("models.yaml")
SECTIONS = ("models", "agents", "human")
TEXTS = ("served_as", "base_url", "key_variable", "reply_format")
RESERVED = ("scripted", "inherit", HUMAN)


def numbers(kind: type[msgspec.Struct] = ModelCard) -> dict[str, Knob]:
    """The numeric fields of a card as typed, bounded knobs, with their meaning."""
    plain = {field.name for field in msgspec.structs.fields(kind) if not hasattr(field.type, "__metadata__")}
    return bounded_fields(kind, plain)


def bounded_fields(record: type[msgspec.Struct], besides: Collection[str]) -> dict[str, Knob]:
    """The fields of a record that are numbers with bounds and a meaning: all but those in ``besides``."""
    return {f.name: _knob(f) for f in msgspec.structs.fields(record) if f.name not in besides}


def _knob(field: msgspec.structs.FieldInfo) -> Knob:
    meta = field.type.__metadata__[0]
    kind = "int" if field.type.__origin__ is int else "float"
    return Knob(field.name, "model", kind, field.default, meta.ge, meta.le, meaning=meta.description)  # type: ignore[arg-type]


def read_models(path: Path = SHIPPED) -> tuple[ModelCard, ...]:
    """The cards of the models; :class:`FileError` (``path:line``) where the file is wrong."""
    return read_thinkers(path).models


def read_thinkers(path: Path = SHIPPED) -> Thinkers:
    """Everything a models file says; :class:`FileError` (``path:line``) where it is wrong."""
    form = Form(parse_yaml(read_text(path, FileError), path))
    form.mapping((), SECTIONS)
    models = tuple(_model(form, name) for name in _names(form, "models"))
    agents = tuple(_agent(form, name, path.resolve().parent) for name in _names(form, "agents"))
    for card in agents:
        if card.name in {model.name for model in models}:
            form.fault(("agents", card.name), f"{card.name!r} is a model too, expected one of the two. Rename one.")
    human = HumanTerms(**_numbers(form, ("human",), HumanTerms, form.mapping(("human",), numbers(HumanTerms))))
    if form.faults:
        raise min(form.faults, key=lambda fault: fault.line or 0)
    return Thinkers(models, agents, human)


def _names(form: Form, section: str) -> list[str]:
    found = form.value((section,))
    named = form.mapping((section,), tuple(found) if isinstance(found, dict) else ())
    for name in named:
        if name in RESERVED:
            form.fault((section, name), f"{name!r} is no name for a card: it means something already. Rename it.")
    return [name for name in named if isinstance(name, str)]


def _numbers(form: Form, keys: Keys, kind: type[msgspec.Struct], found: dict[str, Any]) -> dict[str, Any]:
    """The numeric fields that are given, in type and range."""
    values: dict[str, Any] = {}
    for key, knob in numbers(kind).items():
        if key not in found:
            continue
        wrong = refusal(knob, found[key])
        if wrong:
            form.fault((*keys, key), f"{'.'.join(map(str, (*keys, key)))} {wrong}")
        else:
            values[key] = found[key]
    return values


def _choice(form: Form, keys: Keys, known: tuple[str, ...], default: str) -> str:
    given = form.text(keys, default)
    if given not in known:
        form.fault(keys, f"{keys[-1]} must be one of {', '.join(known)}, got {show(given)}. Choose one of them.")
        return default
    return given


def _model(form: Form, name: str) -> ModelCard:
    keys = ("models", name)
    found = form.mapping(keys, (*TEXTS, *numbers()))
    values: dict[str, Any] = {key: form.text((*keys, key)) for key in TEXTS if key in found}
    if any(mark in values.get("base_url", "") for mark in "@?"):
        wrong = "base_url must hold no user, password or key: it is written down. Set key_variable instead."
        form.fault((*keys, "base_url"), wrong)
    if "reply_format" in found:
        values["reply_format"] = _choice(form, (*keys, "reply_format"), get_args(ReplyFormat), "schema")
    return ModelCard(name=name, **values, **_numbers(form, keys, ModelCard, found))


def _agent(form: Form, name: str, here: Path) -> AgentCard:
    keys = ("agents", name)
    found = form.mapping(keys, ("command", "pass_variables", "droppings", "usage", *numbers(AgentCard)), ("command",))
    command = form.value((*keys, "command"))
    if not isinstance(command, list) or not command or not all(isinstance(part, str) and part for part in command):
        if "command" in found:
            form.fault((*keys, "command"), f"command must be a list of texts, got {show(command)}. Write it as [a, b].")
        command = ["none"]
    for mark in (mark for part in command for mark in placeholders(part)):
        if mark not in PLACEHOLDERS:
            known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
            wrong = f"command holds {{{mark}}}{nearest(mark, PLACEHOLDERS)}, expected one of {known}. Mend it."
            form.fault((*keys, "command"), wrong)
    return AgentCard(
        name=name,
        command=tuple(part.replace("{here}", str(here)) for part in command),
        pass_variables=form.names((*keys, "pass_variables")),
        droppings=form.names((*keys, "droppings")),
        usage=_choice(form, (*keys, "usage"), get_args(UsageReport), "none"),  # type: ignore[arg-type]
        **_numbers(form, keys, AgentCard, found),
    )
