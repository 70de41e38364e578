"""``metaloop resume``: go on where an interrupted command stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metaloop.edges.commands.options import means_options, mirror_option
from metaloop.edges.means import means_of
from metaloop.files.run_folder import RunFolder
from metaloop.meta.evolution.folder import EvolutionFolder


@click.command("resume")
@click.argument("directory", metavar="DIR")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Where to put what a URL holds.")
@mirror_option
@means_options
def resume_command(directory: str, out: Path | None, **options: Any) -> None:
    """Go on with the interrupted run or evolution in DIR: its folder, or the URL that it was mirrored to.

    Nothing that was finished is trained again. A training that was under way is charged up to the last sign of
    life and trained again.
    """
    from metaloop.edges.mirror import take_over

    means = means_of(options)
    path = take_over(directory, out)
    evolution = EvolutionFolder(path)
    if evolution.terms.exists():
        from metaloop.edges.evolution.carry import carry_out_evolution

        carry_out_evolution(evolution, means)
        return
    from metaloop.edges.commands.run import carry_out

    folder = RunFolder(path)
    folder.read_terms()
    carry_out(folder, means)
