"""``metaloop record``: real trainings for surrogates to learn from."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("record")
@click.option("--trainings", type=click.IntRange(1), default=4096, show_default=True, help="How many (whole batches).")
@click.option("--preset", default="cpu-tiny", show_default=True, help="Size of one training.")
@click.option("--data", default="stdlib", show_default=True, help="Corpus: stdlib, a file or glob, or hf:NAME.")
@click.option("--devices", type=click.IntRange(1, 4096), default=2, show_default=True, help="Devices to train on.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the design.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="File of JSON lines; an existing one goes on."
)
@click.option("--address", default=None, help="A running Ray cluster [default: a local one for this command].")
def record_command(
    trainings: int, preset: str, data: str, devices: int, seed: int, out: Path, address: str | None
) -> None:
    """Record real trainings with whole learning curves, durations and final states."""
    from metaloop.edges.progress import Progress
    from metaloop.execution.ray_backend import RayBackend
    from metaloop.execution.recording.record import record
    from metaloop.execution.trainer import TrainerSpec, describe

    progress = Progress()
    spec = TrainerSpec("nanogpt", preset, data)
    target = describe(spec)
    backend = RayBackend(spec, devices, address)
    try:
        with progress.trainings(trainings, "recording") as on_progress:
            record(out, target.space, seed, trainings, backend, on_progress)
    finally:
        backend.close()
