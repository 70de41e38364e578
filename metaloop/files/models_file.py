"""Reading a models file: which models there are, where they are served, what they cost. YAML, by model name::

models:
  some-model:
    base_url: https://api.example.com/v1
    usd_per_million_prompt: 0.25
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

import msgspec

from metaloop.files.form import Form, refusal, show
from metaloop.files.markdown import parse_yaml, read_text
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.models import ModelCard, ReplyFormat
from metaloop.vocabulary.space import Knob

SHIPPED = Path(__file__).with_name("models.yaml")
TEXTS = ("served_as", "base_url", "key_variable", "reply_format")


def numbers() -> dict[str, Knob]:
    """The numeric fields of a card as typed, bounded knobs, with their meaning."""
    return bounded_fields(ModelCard, ("name", *TEXTS))


def bounded_fields(record: type[msgspec.Struct], besides: Collection[str]) -> dict[str, Knob]:
    """The fields of a record that are numbers with bounds and a meaning: all but those in ``besides``."""
    return {f.name: _knob(f) for f in msgspec.structs.fields(record) if f.name not in besides}


def _knob(field: msgspec.structs.FieldInfo) -> Knob:
    meta = field.type.__metadata__[0]
    kind = "int" if field.type.__origin__ is int else "float"
    return Knob(field.name, "model", kind, field.default, meta.ge, meta.le, meaning=meta.description)  # type: ignore[arg-type]


def read_models(path: Path = SHIPPED) -> tuple[ModelCard, ...]:
    """All cards of a models file; :class:`FileError` (``path:line``) where it is wrong."""
    form = Form(parse_yaml(read_text(path, FileError), path))
    form.mapping((), ("models",), ("models",))
    found = form.value(("models",))
    named = form.mapping(("models",), tuple(found) if isinstance(found, dict) else ())
    cards = [_card(form, name) for name in named if isinstance(name, str)]
    if form.faults:
        raise min(form.faults, key=lambda fault: fault.line or 0)
    return tuple(cards)


def _card(form: Form, name: str) -> ModelCard:
    known = numbers()
    found = form.mapping(("models", name), (*TEXTS, *known))
    values: dict[str, Any] = {key: form.text(("models", name, key)) for key in TEXTS if key in found}
    if any(mark in values.get("base_url", "") for mark in "@?"):
        keys = ("models", name, "base_url")
        form.fault(keys, "base_url must hold no user, password or key: it is written down. Set key_variable instead.")
    formats = get_args(ReplyFormat)
    if values.get("reply_format", "schema") not in formats:
        given = values.pop("reply_format")
        keys = ("models", name, "reply_format")
        form.fault(keys, f"reply_format must be one of {', '.join(formats)}, got {show(given)}. Choose one of them.")
    for key in found:
        if key in known:
            wrong = refusal(known[key], found[key])
            if wrong:
                form.fault(("models", name, key), f"models.{name}.{key} {wrong}")
            else:
                values[key] = found[key]
    return ModelCard(name=name, **values)
