"""Reading a sources file: where scouts look for ideas. YAML, by source name::

sources:
  notes:
    kind: folder
    address: ./notes
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec

from metaloop.files.form import Form, refusal, show
from metaloop.files.markdown import Keys, parse_yaml, read_text
from metaloop.files.models_file import bounded_fields
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.sources import Source, SourceKind
from metaloop.vocabulary.space import Knob
from metaloop.vocabulary.text import nearest

SHIPPED = Path(__file__).with_name("sources.yaml")
TEXTS = ("kind", "address", "key_variable")
KINDS = get_args(SourceKind)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""A simulated run keeps a folder of that name."""


def numbers() -> dict[str, Knob]:
    """The numeric fields of a source as typed, bounded knobs, with their meaning."""
    return bounded_fields(Source, ("name", *TEXTS))


def read_sources(path: Path = SHIPPED) -> tuple[Source, ...]:
    """All sources of a file; a folder's relative path is made absolute, from where the file lies.

    Raises:
        FileError: the first thing wrong with it (``path:line``).
    """
    form = Form(parse_yaml(read_text(path, FileError), path))
    form.mapping((), ("sources",), ("sources",))
    found = form.value(("sources",))
    named = form.mapping(("sources",), tuple(found) if isinstance(found, dict) else ())
    sources = [_source(form, name, path.resolve().parent) for name in named if isinstance(name, str)]
    if form.faults:
        raise min(form.faults, key=lambda fault: fault.line or 0)
    return tuple(source for source in sources if source is not None)


def _source(form: Form, name: str, folder: Path) -> Source | None:
    keys, known = ("sources", name), numbers()
    if not NAME.fullmatch(name):
        told = f"a source's name must be letters, digits, '-' and '_', got {show(name)}. Rename it."
        form.fault(keys, told)
    found = form.mapping(keys, (*TEXTS, *known), ("kind", "address"))
    values: dict[str, Any] = {key: form.text((*keys, key)) for key in TEXTS if key in found}
    kind, address = values.get("kind", ""), values.get("address", "")
    if kind and kind not in KINDS:
        told = f"kind must be one of {', '.join(KINDS)}, got {show(kind)}{nearest(kind, KINDS)}. Choose one of them."
        form.fault((*keys, "kind"), told)
    elif kind == "folder" and address:
        values["address"] = str(folder / address)
    elif address:
        _check_address(form, (*keys, "address"), address)
    for key in found:
        if key in known:
            wrong = refusal(known[key], found[key])
            if wrong:
                form.fault((*keys, key), f"sources.{name}.{key} {wrong}")
            values[key] = found[key]
    return None if form.faults else msgspec.convert({"name": name, **values}, Source)


def _check_address(form: Form, keys: Keys, address: str) -> None:
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        parts, good = urlsplit(""), False
    if not good:
        form.fault(keys, f"address must start with http:// or https://, got {show(address)}. Write the whole address.")
    elif "@" in parts.netloc:
        form.fault(keys, "address must hold no user or password: it is written down. Set key_variable instead.")
