"""``metaloop launch``: runs and evolutions as jobs on a running Ray cluster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metaloop.edges.commands.options import F
from metaloop.edges.outcome import print_json
from metaloop.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from metaloop.execution.ray_jobs import Job, JobServer

_ADDRESS = click.option(
    "--address",
    default=None,
    help="The cluster: its job server (http://HEAD:8265), or where Ray listens [default: RAY_API_SERVER_ADDRESS, "
    "RAY_ADDRESS, or this machine's].",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else there.")
_LAUNCHING = (
    _ADDRESS,
    click.option("--detach", is_flag=True, help="Do not wait for the job: print its ID."),
    click.option("--id", "name", default="", help="The job's ID [default: made from the command and the time]."),
    click.option(
        "--working-dir",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        default=Path(),
        help="What travels: organizations, roles, source code [default: this folder].",
    ),
    click.option("--exclude", "excludes", multiple=True, metavar="PATTERN", help="Names or paths that do not travel."),
    click.option(
        "--env", "variables", multiple=True, metavar="NAME[=VALUE]", help="An environment variable that travels, too."
    ),
    click.option(
        "--requirements",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        default=None,
        help="A pip file to install for the job, on every node that it uses [default: what the nodes have].",
    ),
    click.option("--python", default="python", show_default=True, help="Python on the head node, metaloop's."),
    _JSON,
)


def _launching(command: F) -> F:
    for option in reversed(_LAUNCHING):
        command = option(command)
    return command


@click.group("launch")
def launch_group() -> None:
    """Run on a cluster: submit a run or an evolution as a Ray job, and look after it.

    \b
    Examples:
      metaloop launch run orgs/solo-greedy --address http://HEAD:8265 --gpu-hours 4 --devices 4 --out /shared/runs/first
      metaloop launch evolve orgs/* --detach --mirror s3://bucket/evolve
      metaloop launch status                  all jobs; with an ID, one
      metaloop launch logs ID --follow
      metaloop launch stop ID
    """


def _launch(kind: str, help_text: str) -> Callable[..., None]:
    """``metaloop launch KIND``: takes what ``metaloop KIND`` takes, and the options of launching."""

    @launch_group.command(kind, help=help_text, short_help=help_text, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar=f"[ARGUMENTS OF {kind}]...")
    @_launching
    def command(arguments: tuple[str, ...], **options: Any) -> None:
        from metaloop.edges.launching import prepare

        if not {"--help", "-h"}.isdisjoint(arguments):
            raise UsageError(f"what a run takes is in `metaloop {kind} --help`.")
        with tempfile.TemporaryDirectory() as scratch:
            submission = prepare(kind, arguments, options, Path(scratch))
            server = _server(options["address"])
            server.submit(submission)
        if options["detach"]:
            _show_job(server.job(submission.id), options["as_json"])
            return
        click.echo(f"job {submission.id}: its lines follow; interrupted here, it goes on there", err=True)
        _follow(server, submission.id, options["as_json"])

    return command


run_command = _launch("run", "Submit a run: what `metaloop run` takes, and where it should go.")
evolve_command = _launch("evolve", "Submit an evolution: what `metaloop evolve` takes, and where it should go.")
resume_command = _launch("resume", "Go on with what was interrupted: an absolute path on the cluster, or a URL.")


@launch_group.command("status")
@click.argument("name", required=False, metavar="[ID]")
@_ADDRESS
@_JSON
def status_command(name: str | None, address: str | None, as_json: bool) -> None:
    """How jobs are getting on: one, or all that metaloop submitted."""
    server = _server(address)
    if name is not None:
        _show_job(server.job(name), as_json)
        return
    jobs = server.jobs()
    if as_json:
        print_json(jobs)
    for job in () if as_json else jobs:
        click.echo(f"{job.id:36} {job.status:10} {_length(job):>8}  {job.place}")
    if not jobs and not as_json:
        click.echo("no jobs")


@launch_group.command("logs")
@click.argument("name", metavar="ID")
@click.option("--follow", is_flag=True, help="Until the job is over.")
@_ADDRESS
@_JSON
def logs_command(name: str, follow: bool, address: str | None, as_json: bool) -> None:
    """What a job has printed. With --json its lines go to standard error, and the job's record to standard output."""
    server = _server(address)
    if follow:
        _follow(server, name, as_json)
        return
    click.echo(server.logs(name), nl=False, err=as_json)
    if as_json:
        print_json(server.job(name))


@launch_group.command("stop")
@click.argument("name", metavar="ID")
@_ADDRESS
@_JSON
def stop_command(name: str, address: str | None, as_json: bool) -> None:
    """End a job. What it has finished is kept: `metaloop launch resume PLACE` goes on."""
    server = _server(address)
    was_running = server.stop(name)
    job = server.job(name)
    if as_json:
        print_json(job)
    elif was_running:
        click.echo(f"{name} is told to end. Go on later with: metaloop launch resume {job.place}")
    else:
        click.echo(f"{name} was over already: {job.status}")


def _server(address: str | None) -> JobServer:
    from metaloop.execution.ray_jobs import JobServer

    return JobServer(address)


def _follow(server: JobServer, name: str, as_json: bool) -> None:
    """Until the job is over; this command then ends as the job did."""
    from metaloop.vocabulary.clock import WallClock

    job = server.follow(name, lambda text: click.echo(text, nl=False, err=as_json), WallClock().sleep)
    if as_json:
        print_json(job)
    if job.status != "SUCCEEDED":
        click.echo(f"job {name}: {job.status}. {job.message}", err=True)
        raise click.exceptions.Exit(job.exit_code or 1)


def _show_job(job: Job, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    click.echo(f"{job.id}  {job.status}  {_length(job)}\n  folder   {job.place}\n  command  {job.command}")
    if job.message:
        click.echo(f"  says     {job.message}")
    click.echo(f"  follow   metaloop launch logs {job.id} --follow")


def _length(job: Job) -> str:
    """How long it took, where it is over."""
    return f"{job.ended - job.began:.0f} s" if job.ended else "so far"
