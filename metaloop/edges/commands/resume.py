"""``metaloop resume``: go on where an interrupted command stopped."""

from __future__ import annotations

from pathlib import Path

import click

from metaloop.files.run_folder import RunFolder
from metaloop.meta.evolution.folder import EvolutionFolder


@click.command("resume")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--address", default=None, help="A running Ray cluster [default: a local one for this command].")
@click.option("--no-mlflow", is_flag=True, help="Do not write to MLflow.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def resume_command(directory: Path, address: str | None, no_mlflow: bool, as_json: bool) -> None:
    """Go on with the interrupted run or evolution in DIR.

    Nothing that was finished is trained again. A training that was under way is charged up to the last sign of
    life and trained again.
    """
    evolution = EvolutionFolder(directory)
    if evolution.terms.exists():
        from metaloop.edges.evolution.carry import carry_out_evolution

        carry_out_evolution(evolution, address, as_json, not no_mlflow)
        return
    from metaloop.edges.commands.run import carry_out

    folder = RunFolder(directory)
    folder.read_terms()
    carry_out(folder, address, as_json, not no_mlflow)
