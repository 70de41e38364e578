"""``metaloop report``: the pictures of a run in one HTML file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--open", "open_it", is_flag=True, help="Show it in the browser.")
@click.option("--png", type=click.Path(path_type=Path), help="Also draw one picture for a README into this file.")
def report_command(folder: Path, open_it: bool, png: Path | None) -> None:
    """Write the HTML report of the run in DIR: leaderboard, anytime curves, experiments, devices, research record.

    One file, no network. Works while the run is still under way. For an evolution's folder, every generation gets
    its own report.

    \b
    Examples:
      metaloop report runs/run-20260101-120000 --open
      metaloop report runs/demo --png docs/img/demo.png
    """
    from metaloop.edges.leaderboard import run_folders
    from metaloop.edges.report import write_report

    folders = run_folders(folder)
    for place in folders:
        target = write_report(place)
        click.echo(str(target))
        if open_it:
            click.launch(target.resolve().as_uri())
    if png is not None:
        from metaloop.edges.report.png import write_png

        write_png(folders[-1], png)
        click.echo(str(png))
