"""``metaloop transfer``: does what was found small hold at the next size?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from metaloop.files.run_folder import RunFolder, held
from metaloop.vocabulary.errors import UsageError


@click.command("transfer")
@click.argument("source", type=click.Path(path_type=Path), metavar="RUN|ORG")
@click.option("--to", "preset", required=True, help="The larger preset.")
@click.option(
    "--pairs", type=click.IntRange(2, 100), default=4, show_default=True, help="Fresh paired seeds for every commit."
)
@click.option("--organization", help="RUN: only this one's trunks [default: all].")
@click.option("--devices", type=click.IntRange(1), help="Devices to train on [default: the run's; ORG: 1].")
@click.option("--data", help="Data to train on [default: the run's; ORG: the trainer's].")
@click.option("--gpu-hours", type=click.FloatRange(1e-4, 1e5), help="ORG: GPU-hours of each org run at the new size.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="ORG: seed of the first org run.")
@click.option("--seeds", type=click.IntRange(1, 1000), default=1, show_default=True, help="ORG: org runs.")
@click.option("--against", type=click.Path(path_type=Path), help="ORG: whom to compare with, on the same seeds.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results [default: beside SOURCE].")
@click.option("--address", default=None, help="A running Ray cluster [default: a local one for this command].")
@click.option(
    "--accelerator",
    metavar="NAME",
    help="Only devices on nodes with this one, as H100 [default: the run's; ORG: any].",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
def transfer_command(source: Path, **options: Any) -> None:
    """Take the trunks of the finished run RUN to a larger preset, and say which changes survive, fade or hurt there.

    Every trunk commit is trained again at the new size on fresh paired seeds, and scored on unseen data; a change's
    effect is its commit's bpb minus its parent's. Interrupted, the same command goes on where it stopped.

    An organization ORG is run anew at the new size, beside another one (--against) on the same seeds.

    \b
    Examples:
      metaloop transfer runs/small --to cpu-tiny --pairs 6
      metaloop transfer orgs/evolved/focused-scout --against orgs/solo-greedy --to gpu-small --gpu-hours 2 --seeds 3
    """
    if (source / "ORG.md").exists():
        _transfer_organization(source, options)
        return
    from metaloop.edges.outcome import print_json
    from metaloop.edges.progress import Progress
    from metaloop.edges.transfer import Transferring, terms_of
    from metaloop.meta.transfer import markdown

    folder = RunFolder(source)
    organizations = _chosen(folder, options["organization"])
    changed = {"confirm_pairs": options["pairs"], "devices": options["devices"], "data": options["data"]}
    changed["accelerator"] = options["accelerator"]
    terms = terms_of(folder, options["preset"], {**changed, "organizations": organizations})
    out = options["out"] or source.with_name(f"{source.name}-{options['preset']}")
    progress = Progress()
    with held(out):
        transferring = Transferring(folder, out, terms)
        if transferring.org_runs:
            transferring.train(options["address"], progress)
        results = transferring.conclude()
    progress.say(f"written to {out / 'transfer.json'} and transfer.md")
    if options["as_json"]:
        print_json(results)
    else:
        click.echo(markdown(results.trunks) or "Nothing was merged in this run: there is nothing to transfer.")


def _chosen(folder: RunFolder, organization: str | None) -> tuple[str, ...]:
    known = folder.read_terms().organizations
    if organization is None:
        return known
    if organization not in known:
        raise UsageError(f"{folder.path} has no organization {organization!r}. It has {', '.join(known)}.")
    return (organization,)


def _transfer_organization(source: Path, options: dict[str, Any]) -> None:
    """An organization found small is run at the new size, as ``metaloop run`` does it."""
    from metaloop.edges.commands.run import run_command

    if options["gpu_hours"] is None:
        raise UsageError("an organization is run anew at the new size. Say for how long with --gpu-hours.")
    arguments = [str(source), *([str(options["against"])] if options["against"] else [])]
    arguments += ["--preset", options["preset"], "--confirm-pairs", str(options["pairs"]), "--no-mlflow"]
    arguments += ["--gpu-hours", str(options["gpu_hours"])]
    for name in ("devices", "data", "seed", "seeds", "out", "address", "accelerator"):
        if options[name] is not None:
            arguments += [f"--{name}", str(options[name])]
    if options["as_json"]:
        arguments.append("--json")
    click.echo(f"metaloop run {shlex.join(arguments)}", file=sys.stderr)
    run_command.main(arguments, standalone_mode=False)
