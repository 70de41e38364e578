"""Options that several commands share, and the terms they make."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from metaloop import __version__
from metaloop.files.run_folder import RunTerms
from metaloop.vocabulary.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

LEAST_GPU_HOURS = 1e-4
MOST_GPU_HOURS = 1e5

_OPTIONS = (
    click.option("--backend", type=click.Choice(["ray"]), default="ray", show_default=True, help="Who hosts the run."),
    click.option("--trainer", default="nanogpt", show_default=True, help="What an experiment trains."),
    click.option("--preset", default="cpu-tiny", show_default=True, help="Size of one training."),
    click.option("--data", default="stdlib", show_default=True, help="Corpus: stdlib, a file or glob, or hf:NAME."),
    click.option(
        "--gpu-hours",
        type=click.FloatRange(LEAST_GPU_HOURS, MOST_GPU_HOURS),
        default=0.02,
        show_default=True,
        help="Device-hours that each org run is granted: reserved devices x wall time, idle time included. "
        "A device is a GPU, or a CPU core where there is none.",
    ),
    click.option(
        "--devices", type=click.IntRange(1, 4096), default=2, show_default=True, help="Devices of an org run."
    ),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the first org run."),
    click.option(
        "--seeds", type=click.IntRange(1, 1000), default=1, show_default=True, help="Org runs: seeds S to S+N-1."
    ),
    click.option(
        "--confirm-pairs",
        type=click.IntRange(2, 100),
        default=4,
        show_default=True,
        help="Fresh paired seeds on which the harness retrains every trunk commit afterwards.",
    ),
    click.option("--out", type=click.Path(path_type=Path), default=None, help="Folder to make [default: runs/TIME]."),
    click.option("--address", default=None, help="A running Ray cluster [default: a local one for this command]."),
    click.option("--no-mlflow", is_flag=True, help="Do not write to MLflow."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there."),
)


def run_options(command: F) -> F:
    """The options of every command that runs organizations."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def default_out(kind: str) -> Path:
    """``runs/KIND-20261123-101530``."""
    return Path("runs") / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}"


def make_terms(options: dict[str, Any], organizations: tuple[str, ...], parents: dict[str, str]) -> RunTerms:
    """The terms that the command's options come to."""
    return RunTerms(
        organizations=organizations,
        backend=options["backend"],
        trainer=options["trainer"],
        preset=options["preset"],
        data=options["data"],
        gpu_hours=options["gpu_hours"],
        devices=options["devices"],
        seed=options["seed"],
        seeds=options["seeds"],
        confirm_pairs=options["confirm_pairs"],
        version=__version__,
        command=shlex.join(["metaloop", *sys.argv[1:]]),
        parents=parents,
    )


def organization_folders(paths: tuple[Path, ...]) -> dict[str, Path]:
    """Organization folders by name; a path may also be the folder's ORG.md.

    Raises:
        UsageError: two folders carry the same name, or none was given.
    """
    folders: dict[str, Path] = {}
    for path in paths:
        folder = path.parent if path.name == "ORG.md" else path
        name = folder.resolve().name
        if name in folders:
            raise UsageError(f"two organizations are called {name!r}: {folders[name]} and {folder}. Rename one.")
        folders[name] = folder
    if not folders:
        raise UsageError("no organization was named. Try: metaloop run orgs/solo-greedy orgs/no-op")
    return folders
