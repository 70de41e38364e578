"""The ``metaloop`` command. Commands are imported when they are called, so that ``--help`` answers at once."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from types import MappingProxyType

import click

from metaloop import __version__
from metaloop.vocabulary.errors import MetaloopError, Preempted

COMMANDS = MappingProxyType(
    {
        "check": ("metaloop.edges.commands.check:check_command", "Check role files and organizations."),
        "role": ("metaloop.edges.commands.role:role_group", "Write a new role; show a role's policy and prompt."),
        "run": ("metaloop.edges.commands.run:run_command", "Run organizations on real training, and measure them."),
        "resume": ("metaloop.edges.commands.resume:resume_command", "Go on with an interrupted run or evolution."),
        "compare": ("metaloop.edges.commands.compare:compare_command", "Leaderboard of finished runs, with intervals."),
        "transfer": (
            "metaloop.edges.commands.transfer:transfer_command",
            "Does what was found small hold at the next size?",
        ),
        "report": ("metaloop.edges.commands.report:report_command", "Write a run's HTML report."),
        "evolve": (
            "metaloop.edges.commands.evolve:evolve_command",
            "Mutate organizations and race them; hand over the better one.",
        ),
        "launch": ("metaloop.edges.commands.launch:launch_group", "Run and evolve as jobs on a running Ray cluster."),
        "top": ("metaloop.edges.commands.top:top_command", "Watch a run: devices, queue, best so far, spend."),
        "cluster": ("metaloop.edges.commands.cluster:cluster_command", "Show descriptions of simulated clusters."),
        "calibrate": (
            "metaloop.edges.commands.calibrate:calibrate_command",
            "Teach the simulator from real org runs, before and after.",
        ),
        "fidelity": (
            "metaloop.edges.commands.fidelity:fidelity_command",
            "Real org runs beside simulated ones: how far off is the simulator?",
        ),
        "record": ("metaloop.edges.commands.record:record_command", "Record real trainings for a surrogate."),
        "replay": ("metaloop.edges.commands.replay:replay_command", "Rebuild an org run's state from its journal."),
        "answer": ("metaloop.edges.commands.answer:answer_command", "Answer what people are asked in a running org."),
        "idea": (
            "metaloop.edges.commands.idea:idea_group",
            "Hand ideas to a running organization; see what they gave.",
        ),
        "scout": ("metaloop.edges.commands.scout:scout_command", "Look for ideas in papers, repositories and notes."),
        "lessons": (
            "metaloop.edges.commands.lessons:lessons_group",
            "Gather what org runs found, for later organizations.",
        ),
    }
)
"""Command to where it lives, and its line of help."""

ORDER = tuple(COMMANDS)
THREADS = "OMP_NUM_THREADS"
"""Brains and surrogates multiply matrices of a few hundred rows, beside as many processes as there are cores: more
threads than one slow them down by far. Trainers set their own number. Whoever sets the variable is left alone."""


class LazyGroup(click.Group):
    """Imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(ORDER)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in ORDER])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="metaloop")
def cli() -> None:
    """Run, measure and evolve research organizations that are written in Markdown.

    \b
    First steps:
      metaloop check                          are the organizations in order?
      metaloop run orgs/solo-greedy orgs/no-op --gpu-hours 0.02 --devices 2
      metaloop compare runs/LATEST            who won, with intervals
      metaloop role new my-proposer --kind proposer

    Every command that yields results has --json: one object on standard output, everything else on standard error.
    """


def limit_threads() -> None:
    """One thread for small matrices, as :data:`THREADS` says why; to be called before numpy is imported."""
    os.environ.setdefault(THREADS, "1")


def run_script(script: Callable[[], None]) -> None:
    """Run a module that is a command of its own: errors that a person can mend become one line and exit code 2."""
    limit_threads()
    try:
        script()
    except MetaloopError as error:
        click.echo(f"metaloop: {error}", err=True)
        sys.exit(2)


def main() -> None:
    """Entry point: errors that a person can mend become one line and exit code 2."""
    limit_threads()
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Preempted as notice:
        click.echo(f"metaloop: {notice} What was finished is kept; `metaloop resume DIR` goes on.", err=True)
        sys.exit(128 + signal.SIGTERM)
    except MetaloopError as error:
        click.echo(f"metaloop: {error}" if not hasattr(error, "path") else str(error), err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("metaloop: interrupted. What was finished is kept; `metaloop resume DIR` goes on.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
