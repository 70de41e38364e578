"""``make demo-local-model``: an organization all of whose members are a real model, on real trainings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from metaloop.edges.cli import limit_threads
from metaloop.edges.commands.options import default_out
from metaloop.edges.commands.run import run_command
from metaloop.edges.local_model import NAME, local_model
from metaloop.edges.outcome import where_to_look
from metaloop.files.run_folder import RunFolder
from metaloop.vocabulary.errors import MetaloopError

ORGANIZATION = "careful-lab"
GPU_HOURS = "0.04"
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run one organization with the local model as every member's brain, and say where to look."""
    out = default_out("local-model")
    click.echo(f"{ORGANIZATION}, thought through by {NAME}: a smoke test, it decides no better than chance", err=True)
    with local_model() as url:
        os.environ["OPENAI_BASE_URL"] = url
        organization = str(ROOT / "orgs" / ORGANIZATION)
        sizes = ["--preset", "cpu-tiny", "--gpu-hours", GPU_HOURS, "--devices", "1", "--confirm-pairs", "2"]
        run_command.main([organization, "--model", NAME, *sizes, "--out", str(out)], standalone_mode=False)
    where_to_look(RunFolder(out))
    click.echo(f"Transcripts     {out}/{ORGANIZATION}/seed-0/transcripts", err=True)


if __name__ == "__main__":
    limit_threads()
    try:
        main()
    except MetaloopError as error:
        click.echo(f"metaloop: {error}", err=True)
        sys.exit(2)
