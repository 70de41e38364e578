"""``metaloop record``: real trainings for surrogates to learn from."""

from __future__ import annotations

import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from metaloop import __version__
from metaloop.edges.outcome import print_json
from metaloop.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metaloop.execution.recording.design import Recorded
    from metaloop.execution.trainer import Target


class RecordingSummary(msgspec.Struct, frozen=True):
    """What ``record --json`` prints."""

    trainings: int
    states: dict[str, int]
    stages: dict[str, int]
    best_bpb: float | None
    table: str


@click.command("record")
@click.option(
    "--trainings", type=click.IntRange(1), default=4096, show_default=True, help="How many, earlier ones included."
)
@click.option("--preset", default="cpu-tiny", show_default=True, help="Size of one training.")
@click.option("--data", default="stdlib", show_default=True, help="Corpus: stdlib, a file or glob, or hf:NAME.")
@click.option("--devices", type=click.IntRange(1, 4096), default=2, show_default=True, help="Devices to train on.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the design.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="File of JSON lines, to which every training is appended; a .parquet is written beside it at the end.",
)
@click.option(
    "--go-on-from",
    type=click.Path(path_type=Path),
    default=None,
    help="An earlier recording of the same design (.parquet) that --out starts with.",
)
@click.option("--address", default=None, help="A running Ray cluster [default: a local one for this command].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def record_command(out: Path, trainings: int, seed: int, **options: Any) -> None:
    """Record real trainings with whole learning curves, durations and final states.

    The design is interleaved, so a recording may be stopped anywhere (Ctrl-C) and taken up again by the same
    command: evenly spread configurations, steps from the baseline, steps from the best so far, and repeats on fresh
    seeds. `metaloop calibrate` learns from it.

    \b
    Example:
      metaloop record --trainings 512 --out runs/more.jsonl
    """
    from metaloop.edges.progress import Progress
    from metaloop.execution.ray_backend import RayBackend
    from metaloop.execution.recording.record import record
    from metaloop.execution.trainer import TrainerSpec, describe

    if out.suffix != ".jsonl":
        raise UsageError(f"--out must end in .jsonl, got {out}. The .parquet is written beside it.")
    progress = Progress()
    spec = TrainerSpec("nanogpt", options["preset"], options["data"])
    target = describe(spec)
    if options["go_on_from"] is not None and not out.exists():
        _start_from(options["go_on_from"], out, target)
    backend = RayBackend(spec, options["devices"], options["address"])
    try:
        with progress.trainings(trainings, "recording") as on_progress:
            rows = record(out, target.space, seed, trainings, backend, on_progress)
    finally:
        backend.close()
    summary = _pack(rows, out.with_suffix(".parquet"), target)
    if options["as_json"]:
        print_json(summary)
    else:
        click.echo(f"{summary.trainings} trainings {summary.states}, best {summary.best_bpb} bpb: {summary.table}")


def _start_from(earlier: Path, out: Path, target: Target) -> None:
    """Begin the file of lines with the designed rows of an earlier recording."""
    from metaloop.execution.recording.table import read_table

    rows = [row for row in read_table(earlier, target.space) if row.stage != "organization"]
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}")
    temporary.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    temporary.replace(out)


def _pack(rows: Sequence[Recorded], path: Path, target: Target) -> RecordingSummary:
    from collections import Counter

    from metaloop.edges.calibration import hardware
    from metaloop.execution.recording.table import Provenance, write_table

    versions = {"metaloop": __version__, "torch": version("torch"), "python": platform.python_version()}
    today = datetime.now(tz=UTC).date().isoformat()
    command = shlex.join(["metaloop", *sys.argv[1:]])
    write_table(path, rows, target.space, Provenance(command, today, hardware(), versions, target.identity))
    return RecordingSummary(
        trainings=len(rows),
        states=dict(Counter(row.result.state for row in rows)),
        stages=dict(Counter(row.stage for row in rows)),
        best_bpb=min((row.bpb for row in rows if row.bpb is not None), default=None),
        table=str(path),
    )
