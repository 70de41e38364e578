"""``metaloop cluster``: descriptions of simulated clusters."""

from __future__ import annotations

import click

from metaloop.edges.outcome import print_json
from metaloop.vocabulary.space import Knob


@click.command("cluster")
@click.argument("name", required=False, metavar="[NAME|FILE]")
@click.option("--fields", is_flag=True, help="Every field with its range, default and meaning.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def cluster_command(name: str | None, fields: bool, as_json: bool) -> None:
    """Show descriptions of simulated clusters: the shipped ones, or one of them as a start for your own.

    \b
    Examples:
      metaloop cluster                         the shipped descriptions
      metaloop cluster spot > mine.yaml        a file to edit
      metaloop cluster mine.yaml --json        the whole description, defaults included; errors with their line
      metaloop cluster --fields                what can be described
    """
    import msgspec

    from metaloop.execution.simulator.cluster_file import SECTIONS, fields_of, find_cluster, shipped_clusters

    if fields:
        _show_fields({section: fields_of(section) for section in SECTIONS}, as_json)
        return
    shipped = shipped_clusters()
    if name is None:
        found = {known: find_cluster(known).description for known in shipped}
        lines = "\n".join(f"{known:<12} {description}" for known, description in found.items())
        print_json(found) if as_json else click.echo(lines)
        return
    cluster = find_cluster(name)
    if as_json:
        print_json(msgspec.to_builtins(cluster))
    else:
        click.echo(shipped.get(name, f"{name} is in order: {cluster.description}\n"), nl=False)


def _show_fields(sections: dict[str, tuple[Knob, ...]], as_json: bool) -> None:
    if as_json:
        print_json(sections)
        return
    for section, knobs in sections.items():
        click.echo(f"{section}:")
        for knob in knobs:
            line = f"  {knob.name}: {knob.default:g}".ljust(34)
            click.echo(f"{line}# [{knob.low:g}, {knob.high:g}] {knob.meaning}")
