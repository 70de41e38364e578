"""Reading a cluster description: a YAML file with the sections and fields of ``cluster.Cluster``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from metaloop.execution.simulator.cluster import Cluster
from metaloop.files.form import Form, refusal
from metaloop.files.markdown import Document, parse_yaml, read_text
from metaloop.vocabulary.errors import FileError, UsageError
from metaloop.vocabulary.space import Knob
from metaloop.vocabulary.text import nearest

SECTIONS = tuple(f.name for f in msgspec.structs.fields(Cluster) if f.name not in ("name", "description"))
_SHIPPED = files("metaloop.execution.simulator") / "clusters"


def shipped_clusters() -> dict[str, str]:
    """Name to text of every cluster description that comes with metaloop."""
    found = {Path(item.name).stem: item.read_text() for item in _SHIPPED.iterdir() if item.name.endswith(".yaml")}
    return dict(sorted(found.items()))


def find_cluster(name: str) -> Cluster:
    """A shipped cluster by name, or the description in a file.

    Raises:
        UsageError: there is neither.
        FileError: the file is wrong (``path:line``).
    """
    shipped = shipped_clusters()
    if name in shipped:
        return _read(parse_yaml(shipped[name], Path(f"{name}.yaml")))
    path = Path(name)
    if not path.exists():
        known = ", ".join(shipped)
        raise UsageError(
            f"there is no cluster {name!r}{nearest(name, shipped)}. Name a YAML file, or one that is shipped: {known}."
        )
    return _read(parse_yaml(read_text(path, FileError), path))


def fields_of(section: str) -> tuple[Knob, ...]:
    """The fields of a section as typed, bounded knobs, with their meaning."""
    kind = next(f.type for f in msgspec.structs.fields(Cluster) if f.name == section)
    return tuple(_knob(section, f) for f in msgspec.structs.fields(kind))


def _knob(section: str, field: msgspec.structs.FieldInfo) -> Knob:
    meta = field.type.__metadata__[0]
    kind = "int" if field.type.__origin__ is int else "float"
    return Knob(field.name, section, kind, field.default, meta.ge, meta.le, meaning=meta.description)  # type: ignore[arg-type]


def _read(document: Document) -> Cluster:
    form = Form(document)
    form.mapping((), ("name", "description", *SECTIONS))
    values: dict[str, Any] = {
        "name": form.text(("name",), document.path.stem),
        "description": form.text(("description",), "-"),
    }
    for section in SECTIONS:
        knobs = {knob.name: knob for knob in fields_of(section)}
        found = form.mapping((section,), tuple(knobs))
        values[section] = {name: found[name] for name in found if name in knobs}
        for name, value in values[section].items():
            wrong = refusal(knobs[name], value)
            if wrong:
                form.fault((section, name), f"{section}.{name} {wrong}")
    if form.faults:
        raise form.faults[0]
    return msgspec.convert(values, Cluster)
