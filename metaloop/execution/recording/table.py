"""A recording as one compact Parquet file: a column per knob, per score and per curve point, and where it is from.

A row holds each knob's *effective* value, so that it still means the same after a default has changed; reading
back gives the configuration in its normal form (:func:`metaloop.vocabulary.records.effective`). Seconds are
seconds, scores bits per byte; a curve has at most :data:`CURVE_POINTS` points, those not reached are null.
Numbers come back bit for bit; of a message the first :data:`MESSAGE` characters are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from metaloop.execution.recording.design import Recorded
from metaloop.vocabulary.errors import FileError
from metaloop.vocabulary.records import CurvePoint, StopRule, TrainingRequest, TrainingResult, effective
from metaloop.vocabulary.space import Knob, Space

CURVE_POINTS = 5
MESSAGE = 120
SPLITS = ("val", "holdout", "confirm")
METADATA_KEY = b"metaloop-recording"
"""Key of the file-level metadata in the Parquet schema: :class:`Provenance` as JSON."""

_KNOB = "knob:"
_TYPES = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "choice": pa.string()}
_REQUEST = {
    "index": pa.int64(),
    "stage": pa.string(),
    "seed": pa.int64(),
    "score_on": pa.string(),
    "budget_fraction": pa.float64(),
    "stop_fraction": pa.float64(),
    "stop_bpb": pa.float64(),
}
_RESULT = {
    "state": pa.string(),
    "seconds": pa.float64(),
    "cpu_seconds": pa.float64(),
    "steps": pa.int64(),
    "tokens": pa.int64(),
    "flops": pa.float64(),
    "message": pa.string(),
}


class Provenance(msgspec.Struct, frozen=True):
    """Where a recording is from. ``command`` made it on ``hardware``, finished on ``date`` (ISO 8601)."""

    command: str
    date: str
    hardware: str
    versions: dict[str, str]
    target: dict[str, str]
    space: str = ""
    """Digest of the knobs (:meth:`metaloop.vocabulary.space.Space.digest`); filled in by :func:`write_table`."""
    rows: str = ""
    """Digest of the rows (:func:`rows_digest`); filled in by :func:`write_table`."""


def rows_digest(rows: Sequence[Recorded]) -> str:
    """Identity of a recording's content: 16 hex digits of the SHA-256 of its rows in order of index."""
    ordered = sorted(rows, key=lambda row: row.index)
    return hashlib.sha256(b"\n".join(msgspec.json.encode(row) for row in ordered)).hexdigest()[:16]


def normal(row: Recorded, space: Space) -> Recorded:
    """``row`` as it reads back: configuration without defaults and in each knob's own type, message cut."""
    config = effective({}, space.validate(row.request.config), space.defaults())
    return msgspec.structs.replace(
        row,
        request=msgspec.structs.replace(row.request, config=config),
        result=msgspec.structs.replace(row.result, message=row.result.message[:MESSAGE]),
    )


def write_table(path: Path, rows: Iterable[Recorded], space: Space, provenance: Provenance) -> Provenance:
    """Write ``rows`` in order of index; returns ``provenance`` as it was written, with its digests."""
    ordered = sorted((normal(row, space) for row in rows), key=lambda row: row.index)
    written = msgspec.structs.replace(provenance, space=space.digest(), rows=rows_digest(ordered))
    columns = _columns(ordered, space)
    types = {name: kind for name, kind in _schema(space).items() if name in columns}
    schema = pa.schema(list(types.items()), metadata={METADATA_KEY: msgspec.json.encode(written)})
    table = pa.table([pa.array(columns[name], kind) for name, kind in types.items()], schema=schema)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", compression_level=19)
    return written


def read_provenance(path: Path) -> Provenance:
    """The file-level metadata of a recording.

    Raises:
        FileError: not a recording.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
        return msgspec.json.decode(metadata[METADATA_KEY], type=Provenance)
    except (OSError, KeyError, pa.ArrowException, msgspec.MsgspecError) as error:
        raise FileError(path, None, f"not a recording ({_short(error)}). Record one, or name another file.") from None


def read_table(path: Path, space: Space) -> list[Recorded]:
    """The rows of a recording of a target with the knobs ``space``.

    Raises:
        FileError: not a recording, or one of other knobs.
        TrainerError: a value that a knob of ``space`` cannot hold.
    """
    read_provenance(path)
    names = list(_schema(space))
    try:
        columns = pq.read_table(path).select(names).to_pydict()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise FileError(path, None, f"a recording of other knobs ({_short(error)}). Record anew.") from None
    defaults, types = space.defaults(), {_KNOB + knob.name: knob for knob in space}
    return [_row(dict(zip(names, values, strict=True)), types, defaults) for values in zip(*columns.values())]  # noqa: B905


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:MESSAGE]


def _schema(space: Space) -> dict[str, pa.DataType]:
    curve = {f"curve_{what}_{k}": pa.float64() for k in range(CURVE_POINTS) for what in ("fraction", "seconds", "bpb")}
    scores = dict.fromkeys(SPLITS, pa.float64())
    return _REQUEST | {_KNOB + knob.name: _TYPES[knob.kind] for knob in space} | _RESULT | scores | curve


def _columns(rows: Sequence[Recorded], space: Space) -> dict[str, list[Any]]:
    records = [_record(row, space.defaults()) for row in rows]
    return {name: [record.get(name) for record in records] for name in _schema(space)}


def _record(row: Recorded, defaults: Mapping[str, Any]) -> dict[str, Any]:
    request, result = row.request, row.result
    values: dict[str, Any] = {_KNOB + name: value for name, value in {**defaults, **request.config}.items()}
    values |= {name: getattr(result, name) for name in _RESULT} | dict(result.bpb)
    values |= {"index": row.index, "stage": row.stage, "seed": request.seed, "score_on": ",".join(request.score_on)}
    values["budget_fraction"] = request.budget_fraction
    if request.stop:
        values |= {"stop_fraction": request.stop.fraction, "stop_bpb": request.stop.bpb_at_most}
    for k, point in enumerate(result.curve[:CURVE_POINTS]):
        values |= {f"curve_{what}_{k}": getattr(point, what) for what in ("fraction", "seconds", "bpb")}
    return values


def _row(values: Mapping[str, Any], knobs: Mapping[str, Knob], defaults: Mapping[str, Any]) -> Recorded:
    config = {knob.name: knob.check(values[column]) for column, knob in knobs.items()}
    stop = None
    if values["stop_fraction"] is not None:
        stop = StopRule(values["stop_fraction"], values["stop_bpb"])
    points = (
        tuple(values[f"curve_{what}_{k}"] for what in ("fraction", "seconds", "bpb")) for k in range(CURVE_POINTS)
    )
    request = TrainingRequest(
        effective({}, config, defaults),
        values["seed"],
        tuple(filter(None, values["score_on"].split(","))),
        stop,
        values["budget_fraction"],
    )
    result = TrainingResult(
        bpb={split: values[split] for split in SPLITS if values[split] is not None},
        curve=tuple(CurvePoint(*point) for point in points if point[0] is not None),
        **{name: values[name] for name in _RESULT},
    )
    return Recorded(values["index"], values["stage"], request, result)
