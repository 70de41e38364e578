"""``make demo``: the main job, small. Real trainings, real Ray, real git, real MLflow; a few minutes on two cores."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from metaloop.edges.cli import run_script
from metaloop.edges.commands.evolve import evolve_command
from metaloop.edges.commands.options import default_out
from metaloop.edges.commands.run import run_command
from metaloop.edges.outcome import where_to_look
from metaloop.files.run_folder import RunFolder

ORGANIZATIONS = ("solo-greedy", "daily-standup", "bold-startup", "no-op")
GPU_HOURS = "0.0235"
"""25 to 35 trainings for each organization: the baseline takes 1.5 to 2.5 s on a core, what they find takes longer."""
EVOLVE_GPU_HOURS = "0.005"
EVOLVE_SIZE = (
    *("--generations", "3", "--population", "6", "--opening-blocks", "8", "--inner-blocks", "24", "--finalists", "1"),
    *("--short-seeds", "0", "--long-seeds", "2", "--final-seeds", "2", "--unseen-seeds", "4"),
)
"""A few generations and hardly any real org runs: it shows the way, not a proof."""
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run four organizations and a small evolution, and say where to look."""
    started = time.monotonic()
    devices = str(min(2, os.cpu_count() or 1))
    base = default_out("demo")
    common = ["--devices", devices, "--preset", "cpu-tiny"]
    orgs = [str(ROOT / "orgs" / name) for name in ORGANIZATIONS]
    click.echo("1/2  four organizations on real nanoGPT trainings (one is a control that never merges)", err=True)
    run = [*orgs, *common, "--gpu-hours", GPU_HOURS, "--confirm-pairs", "3", "--out", str(base / "run")]
    run_command.main(run, standalone_mode=False)
    click.echo("\n2/2  a small evolution: bred and raced in the simulator, the best tried on real trainings", err=True)
    evolve = [*orgs, *common, "--gpu-hours", EVOLVE_GPU_HOURS, "--confirm-pairs", "2", *EVOLVE_SIZE]
    evolve_command.main([*evolve, "--seed", "1", "--out", str(base / "evolve")], standalone_mode=False)
    click.echo(f"\nThe demo took {time.monotonic() - started:.0f} s. Where to look:", err=True)
    where_to_look(RunFolder(base / "run"))


if __name__ == "__main__":
    run_script(main)
