"""The last lines of a command: the leaderboard and where to look, or one JSON object."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from metaloop.files.run_folder import RunFolder
from metaloop.meta.results import Results


def print_json(value: object) -> None:
    """One object on standard output."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    sys.stdout.flush()


def show_results(folder: RunFolder, results: Results, as_json: bool) -> None:
    """What came out of a run."""
    if as_json:
        print_json(results)
        return
    from metaloop.edges.leaderboard import print_leaderboard

    print_leaderboard([results])
    where_to_look(folder)


def where_to_look(folder: RunFolder) -> None:
    """The last lines: report, repositories, MLflow."""
    from metaloop.edges.tracking import start_page, tracking_uri

    first = folder.read_terms()
    repository = folder.org_run(first.organizations[0], first.seed).repository
    click.echo()
    click.echo(f"Report          {folder.report}")
    click.echo(f"Research record git -C {repository} log main")
    page = start_page(folder.path)
    if page:
        command = Path(sys.executable).with_name("mlflow")
        click.echo(f"MLflow          {_shown(command)} ui --backend-store-uri {tracking_uri()}")
        click.echo(f"                http://127.0.0.1:5000{page}&compareRunsMode=CHART")


def _shown(path: Path) -> Path:
    """Relative to here where that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
