"""``metaloop compare``: one leaderboard over one or several run folders."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("compare")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def compare_command(folders: tuple[Path, ...], as_json: bool) -> None:
    """Leaderboard of the run folders DIR (or of an evolution's generations), measured afresh from their journals.

    The primary score is the confirmed gain per GPU-hour: baseline minus trunk in bits per byte, retrained by the
    harness on fresh paired seeds and unseen data. Controls are marked; every organization is compared with the
    strongest of them on shared seeds. Unfinished runs show what they have so far.

    \b
    Examples:
      metaloop compare runs/run-20260101-120000
      metaloop compare runs/monday runs/tuesday --json
    """
    from metaloop.edges.leaderboard import combine, measure_all, print_leaderboard
    from metaloop.edges.outcome import print_json

    results = measure_all(folders)
    if as_json:
        print_json(combine(results))
    else:
        print_leaderboard(results)
