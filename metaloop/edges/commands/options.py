"""Options that several commands share, and the terms they make."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import click

from metaloop import __version__
from metaloop.edges.device_groups import check_group
from metaloop.files.models_file import SHIPPED, read_thinkers
from metaloop.files.org_reader import organizations_at
from metaloop.files.run_folder import RunTerms
from metaloop.vocabulary.canaries import NO_CANARIES, CanaryTerms
from metaloop.vocabulary.errors import UsageError
from metaloop.vocabulary.models import Allowance, Thinkers
from metaloop.vocabulary.text import nearest

F = TypeVar("F", bound=Callable[..., Any])


class TrainerDefaults(NamedTuple):
    """What a trainer's options hold where they are not given."""

    preset: str
    data: str
    gpu_hours: float
    cluster: str
    """The cluster that a simulated trainer was recorded on."""


TRAINERS: Mapping[str, TrainerDefaults] = MappingProxyType(
    {
        "nanogpt": TrainerDefaults("cpu-tiny", "stdlib", 0.02, ""),
        "surrogate": TrainerDefaults("cpu-tiny", "stdlib", 0.02, "laptop"),
        "h100-5min": TrainerDefaults("h100-5min", "0", 10.0, "ideal"),
    }
)
SIMULATED = tuple(name for name, defaults in TRAINERS.items() if defaults.cluster)


def _defaults(option: str) -> str:
    """``cpu-tiny; with h100-5min, h100-5min``: one default for most, and the exceptions."""
    values = {name: getattr(defaults, option) for name, defaults in TRAINERS.items() if getattr(defaults, option)}
    common = next(iter(values.values()))
    others = [f"with {name}, {value}" for name, value in values.items() if value != common]
    return "; ".join([str(common), *others])


LEAST_GPU_HOURS = 1e-4
MOST_GPU_HOURS = 1e5

_OPTIONS = (
    click.option(
        "--backend",
        type=click.Choice(["ray", "sim"]),
        default="ray",
        show_default=True,
        help="Who hosts the run: Ray, in real time; or the simulator, in virtual time (the trainer is then a "
        "simulated one).",
    ),
    click.option(
        "--trainer",
        default=None,
        help="What an experiment trains: nanogpt, for real; surrogate, fitted on recorded real trainings; h100-5min, "
        "drawn after published figures [default: nanogpt; with --backend sim, surrogate].",
    ),
    click.option("--preset", default=None, help=f"Size of one training [default: {_defaults('preset')}]."),
    click.option(
        "--data",
        default=None,
        help="nanogpt: the corpus (stdlib, a file or glob, hf:NAME); surrogate: stdlib, or a fitted model's file; "
        f"h100-5min: the world's seed [default: {_defaults('data')}].",
    ),
    click.option(
        "--gpu-hours",
        type=click.FloatRange(LEAST_GPU_HOURS, MOST_GPU_HOURS),
        default=None,
        help="Device-hours that each org run is granted: reserved devices x wall time, idle time included. "
        f"A device is a GPU, or a CPU core where there is none [default: {_defaults('gpu_hours')}].",
    ),
    click.option(
        "--devices", type=click.IntRange(1, 10_000), default=2, show_default=True, help="Devices of an org run."
    ),
    click.option(
        "--devices-per-experiment",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        help="Devices that share each training (nanogpt): every batch is divided among them. They are on one node; "
        "--devices is a multiple of it, and each counts for the whole time.",
    ),
    click.option(
        "--devices-per-gpu",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        help="--backend ray: devices that share a GPU, for trainings too small to fill one. Each is then slower, and "
        "counts as a whole device all the same.",
    ),
    click.option(
        "--canary-every",
        type=click.FloatRange(0.0),
        default=0.0,
        metavar="MINUTES",
        help="Have every device train a short fixed training before its first work and then this often, and take out "
        "one that has become slower than the others, or computes something else [default: no canaries].",
    ),
    click.option(
        "--canary-tolerance",
        type=click.FloatRange(1.01, 100.0),
        default=NO_CANARIES.slower,
        show_default=True,
        help="How many times the others' time a canary may take.",
    ),
    click.option(
        "--accelerator",
        default="",
        metavar="NAME",
        help="--backend ray: only devices on nodes with this accelerator, as Ray calls it (H100: its resource "
        "accelerator_type:H100) [default: any, and one line says so if they are not all of one kind].",
    ),
    click.option(
        "--cluster",
        default=None,
        help="--backend sim: what the cluster is like, a shipped description or your own YAML file (see `metaloop "
        f"cluster`) [default: {_defaults('cluster')}].",
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
    click.option(
        "--pace",
        type=click.FloatRange(0.0),
        default=1.0,
        show_default=True,
        help="--backend ray with a simulated trainer: real seconds for each that a training claims.",
    ),
    click.option(
        "--in-order",
        is_flag=True,
        help="--backend ray: take members' answers in the order of the questions, before any training's result. With "
        "one device a run then repeats decision by decision; a slow member holds up all others.",
    ),
    click.option("--out", type=click.Path(path_type=Path), default=None, help="Folder to make [default: runs/TIME]."),
)

_MEANS = (
    click.option(
        "--address",
        default=None,
        help="Where a running Ray listens, from a node of its cluster: HEAD:6379, or auto [default: one of its own].",
    ),
    click.option(
        "--wait-minutes",
        type=click.FloatRange(0.0),
        default=0.0,
        help="How long devices may take to come free, or to be added by the cluster's autoscaler [default: 0].",
    ),
    click.option(
        "--mlflow",
        default=None,
        metavar="URI",
        help="MLflow's tracking server [default: MLFLOW_TRACKING_URI, or here].",
    ),
    click.option("--no-mlflow", is_flag=True, help="Do not write to MLflow."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there."),
)
"""With what the work is done: also what `resume` asks for, since it may have changed."""


def run_options(command: F) -> F:
    """The options of every command that runs organizations."""
    for option in reversed((*_OPTIONS, *_MEANS)):
        command = option(command)
    return command


def means_options(command: F) -> F:
    """The options of a command that goes on with what others began."""
    for option in reversed(_MEANS):
        command = option(command)
    return command


mirror_option = click.option(
    "--mirror",
    default="",
    metavar="URL",
    help="Storage that outlives this machine (s3://, gs://, file://, ...): the folder is copied there while it grows.",
)


def default_out(kind: str) -> Path:
    """``runs/KIND-20261123-101530``."""
    return Path("runs") / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}"


def make_terms(options: dict[str, Any], organizations: tuple[str, ...], parents: dict[str, str]) -> RunTerms:
    """The terms that the command's options come to.

    Raises:
        UsageError: options that do not go together.
    """
    simulated = options["backend"] == "sim"
    trainer = options["trainer"] or ("surrogate" if simulated else "nanogpt")
    if trainer not in TRAINERS:
        raise UsageError(f"unknown trainer {trainer!r}{nearest(trainer, TRAINERS)}. Known: {', '.join(TRAINERS)}.")
    if simulated and trainer not in SIMULATED:
        raise UsageError(
            f"--backend sim needs a simulated trainer, got {trainer}, which trains for real. Choose --trainer "
            f"{' or '.join(SIMULATED)}, or --backend ray."
        )
    if options["cluster"] is not None and not simulated:
        raise UsageError(
            "--cluster describes a simulated cluster, but --backend is ray. Add --backend sim, or drop it."
        )
    if options["accelerator"] and options["backend"] != "ray":
        raise UsageError("--accelerator says which real devices to take, but --backend is sim. Drop one of them.")
    if options["pace"] != 1.0 and trainer not in SIMULATED:
        raise UsageError(f"--pace is for simulated trainers, but {trainer} trains for real. Drop it.")
    sizes = (options["devices"], options["devices_per_experiment"], options["devices_per_gpu"])
    check_group(*sizes, trainer if trainer in SIMULATED else "")
    defaults = TRAINERS[trainer]
    thinkers = read_thinkers(options["models"] or SHIPPED) if "models" in options else Thinkers()
    return RunTerms(
        organizations=organizations,
        backend=options["backend"],
        trainer=trainer,
        preset=options["preset"] or defaults.preset,
        data=options["data"] or defaults.data,
        gpu_hours=options["gpu_hours"] or defaults.gpu_hours,
        devices=options["devices"],
        devices_per_gpu=options["devices_per_gpu"],
        canaries=CanaryTerms(every_s=60.0 * options["canary_every"], slower=options["canary_tolerance"]),
        devices_per_experiment=options["devices_per_experiment"],
        accelerator=options["accelerator"],
        seed=options["seed"],
        seeds=options["seeds"],
        confirm_pairs=options["confirm_pairs"],
        version=__version__,
        command=shlex.join(["metaloop", *sys.argv[1:]]),
        parents=parents,
        cluster=_cluster(options["cluster"] or defaults.cluster) if simulated else {},
        allowance=Allowance(options.get("max_tokens"), options.get("max_usd")),
        total_allowance=Allowance(options.get("max_total_tokens"), options.get("max_total_usd")),
        pace=options["pace"],
        in_order=options["in_order"],
        models=thinkers.models,
        agents=thinkers.agents,
        human=thinkers.human,
    )


def _cluster(name: str) -> dict[str, Any]:
    """The whole description, so that the run's folder alone repeats the run."""
    import msgspec

    from metaloop.execution.simulator.cluster_file import find_cluster

    description: dict[str, Any] = msgspec.to_builtins(find_cluster(name))
    return description


def organization_folders(paths: tuple[Path, ...]) -> dict[str, Path]:
    """Organization folders by name; a path may also be the folder's ORG.md, or a folder of organizations.

    Raises:
        UsageError: two folders carry the same name, or none was given.
    """
    folders: dict[str, Path] = {}
    for folder in [folder for path in paths for folder in organizations_at(path)]:
        name = folder.resolve().name
        if name in folders:
            raise UsageError(f"two organizations are called {name!r}: {folders[name]} and {folder}. Rename one.")
        folders[name] = folder
    if not folders:
        raise UsageError("no organization was named. Try: metaloop run orgs/solo-greedy orgs/no-op")
    return folders
