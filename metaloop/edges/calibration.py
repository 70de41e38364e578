"""Calibrating the simulator on a finished real run: the files it leaves, and what it helped."""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path

import msgspec
import yaml

from metaloop import __version__
from metaloop.execution.recording.design import Recorded
from metaloop.execution.recording.table import Provenance, read_provenance, read_table, write_table
from metaloop.execution.simulator.cluster_file import find_cluster
from metaloop.execution.surrogate.fit import Source, fit_surrogate
from metaloop.execution.surrogate.model import Model
from metaloop.execution.surrogate.quality import Quality, cross_validate, held_out
from metaloop.execution.surrogate.trainer import SurrogateTrainer, model_of
from metaloop.execution.trainer import TrainerSpec, describe
from metaloop.files.run_folder import RunFolder, read_lines
from metaloop.meta.calibration import Timing, cluster_of, org_run_trainings, timing_of
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.space import Space

Say = Callable[[str], None]


class Calibration(msgspec.Struct, frozen=True):
    """What calibrating came to.

    ``before``: the model of the recording alone; ``after``: refitted with the even-seeded org runs; both on the
    odd-seeded org runs, which neither has seen. ``whole``: the final model, cross-validated over all rows.
    """

    recorded: int
    added: int
    before: Quality
    after: Quality
    whole: Quality | None
    timing: Timing


def read_recording(path: Path | None, preset: str, space: Space) -> tuple[list[Recorded], Provenance | None]:
    """The rows of a recording (the shipped one of ``preset`` where no path is given), and where they are from."""
    if path is None:
        with as_file(files("metaloop.execution.recording").joinpath("data", f"{preset}.parquet")) as shipped:
            if not shipped.exists():
                raise UsageError(f"no recording is shipped for preset {preset}. Name one with --recording.")
            return read_table(shipped, space), read_provenance(shipped)
    if path.suffix == ".jsonl":
        return read_lines(path, Recorded), None
    return read_table(path, space), read_provenance(path)


def calibrate(real: RunFolder, recording: Path | None, out: Path, folds: int, say: Say) -> Calibration:
    """Learn from ``real``; writes recording.parquet, model.npz and cluster.yaml into ``out``."""
    terms = real.read_terms()
    target = describe(TrainerSpec("nanogpt", terms.preset, terms.data))
    rows, provenance = read_recording(recording, terms.preset, target.space)
    runs = org_run_trainings(real, max(row.index for row in rows) + 1)
    new = [row for run in runs for row in run.rows]
    learned = [row for run in runs if run.seed % 2 == 0 for row in run.rows]
    kept_out = [row for run in runs if run.seed % 2 for row in run.rows]
    if not learned or not kept_out:
        raise UsageError("calibration needs org runs of at least two seeds, one even and one odd. Add --seeds 2.")
    source = Source(terms.preset, target=target.identity)
    say(f"fitting on {len(rows)} recorded trainings …")
    before = held_out(fit_surrogate(rows, source, say=say), kept_out)
    say(f"fitting with {len(learned)} trainings of org runs …")
    after = held_out(fit_surrogate([*rows, *learned], source, say=say), kept_out)
    say(f"fitting on all {len(rows) + len(new)} …")
    model = fit_surrogate([*rows, *new], source, say=say)
    whole = cross_validate([*rows, *new], source, count=folds, say=say) if folds else None
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.npz")
    write_table(out / "recording.parquet", [*rows, *new], target.space, _provenance(provenance, terms.command))
    timing = _write_cluster(real, model, out, terms.devices)
    return Calibration(len(rows), len(new), before, after, whole, timing)


def _provenance(earlier: Provenance | None, command: str) -> Provenance:
    """Where the rows are from: the earlier recording's origin, and the command that added to it."""
    versions = {"metaloop": __version__, "torch": version("torch"), "python": platform.python_version()}
    commands = f"{earlier.command}; {command}" if earlier else command
    return Provenance(
        command=commands,
        date=datetime.now(tz=UTC).date().isoformat(),
        hardware=earlier.hardware if earlier else hardware(),
        versions=versions,
        target=earlier.target if earlier else {},
    )


def hardware() -> str:
    """The machine in words: processor and cores."""
    import os

    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"


def measure_machine(real: RunFolder, surrogate: str, out: Path) -> Timing:
    """Only the delays of the machine that ``real`` ran on, as seen by ``surrogate``; writes cluster.yaml to ``out``.

    The slowdown is relative to the durations that this surrogate predicts, so it holds with this surrogate alone.
    """
    terms = real.read_terms()
    out.mkdir(parents=True, exist_ok=True)
    return _write_cluster(real, model_of(TrainerSpec("surrogate", terms.preset, surrogate)), out, terms.devices)


def _write_cluster(real: RunFolder, model: Model, out: Path, devices: int) -> Timing:
    trainer = SurrogateTrainer(model, noise=False)
    timing = timing_of(real, trainer.train)
    base = msgspec.to_builtins(find_cluster("laptop"))
    described = cluster_of(timing, base, out.name, devices)
    (out / "cluster.yaml").write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True))
    return timing
