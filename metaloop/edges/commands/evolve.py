"""``metaloop evolve``: mutate organizations, race them over rungs, hand over the better one with its evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from metaloop.edges.commands.options import F, default_out, mirror_option, run_options
from metaloop.edges.commands.thinking_options import thinking_options
from metaloop.edges.means import means_of
from metaloop.edges.outcome import print_json
from metaloop.meta.evolution.folder import EvolutionFolder
from metaloop.vocabulary.errors import UsageError

NOT_OURS = ("seeds",)
"""Options of `run` that an evolution has finer ones for."""


def _without(command: click.Command, names: tuple[str, ...]) -> click.Command:
    command.params = [parameter for parameter in command.params if parameter.name not in names]
    return command


def _counts(*options: tuple[str, int, int, str]) -> Callable[[F], F]:
    """Whole-number options: name, least, default, help."""

    def decorate(command: F) -> F:
        for name, least, default, text in reversed(options):
            kind = click.IntRange(least, 100_000)
            command = click.option(name, type=kind, default=default, show_default=True, help=text)(command)
        return command

    return decorate


@click.command("evolve")
@click.argument("organizations", nargs=-1, type=click.Path(path_type=Path), metavar="ORG...")
@click.option("--name", default="evolved", show_default=True, help="Name of what is bred and handed over.")
@click.option(
    "--control",
    "controls",
    multiple=True,
    type=click.Path(path_type=Path),
    help="An organization that is a yardstick in every race [default: those marked `control: true` among ORG..., or "
    "beside the first].",
)
@_counts(
    ("--generations", 0, 16, "Simulated races of children against the champion."),
    ("--population", 1, 12, "Children in a generation."),
    ("--opening-blocks", 2, 24, "Simulated seeds on which everyone that is given runs first."),
    ("--inner-blocks", 12, 160, "Most simulated seeds of a generation's race."),
    ("--finalists", 1, 3, "How many of the simulated best are tried on real trainings."),
    ("--short-seeds", 0, 3, "Seeds of the short real race (half of the GPU-hours); 0: no such race."),
    ("--long-seeds", 0, 4, "Seeds of the long real race; 0: no such race."),
    ("--final-seeds", 2, 10, "Fresh seeds on which the winner, its parent and the controls are confirmed."),
    ("--unseen-seeds", 2, 30, "Seeds in the unseen world (h100-5min)."),
    ("--most-members", 1, 12, "Most members of a child: each is a process on a real cluster."),
    ("--lanes", 1, 1, "Real org runs side by side, each with --devices of its own."),
    ("--processes", 1, 2, "Processes for simulated org runs."),
)
@click.option("--sim-data", default="stdlib", show_default=True, help="The surrogate: the shipped, or a model's file.")
@click.option("--max-gpu-hours", type=click.FloatRange(0.0), default=None, help="Hard limit [default: the plan's].")
@click.option("--dollars-per-gpu-hour", type=click.FloatRange(0.0), default=0.0, help="For the plan [default: 0].")
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option(
    "--rewriter",
    default="",
    metavar="NAME",
    help="A model of the models file that rewrites the prose of roles which models read, from what their org runs say "
    "against them [default: prose is not rewritten].",
)
@thinking_options
@run_options
@mirror_option
def evolve_command(organizations: tuple[Path, ...], controls: tuple[Path, ...], dry_run: bool, **options: Any) -> None:
    """Mutate organizations (folders with an ORG.md) and race them, to raise confirmed gain per GPU-hour.

    Children are bred by mutating values, members, links, sharing, quorum and branching, and by crossing
    organizations. Each generation races its children against the champion in the simulator, on fresh paired seeds,
    by a test that may be looked at at any time; the best climb to real trainings, first with half of the GPU-hours,
    then with all. The winner is confirmed on fresh seeds and unseen data, beside its parent and every control, and in
    a world that it was never raced in. DIR/evolved/ holds it whole, with EVIDENCE.md.

    --sim-data and --cluster say what is simulated: best the model and the cluster that `metaloop calibrate` made on
    this machine. A plan is printed first; --dry-run stops there. Interrupted or killed, `metaloop resume DIR` goes on
    and pays nothing twice. With --backend sim the real rungs are simulated too.

    With --model who thinks is a language model, in simulated org runs too (in declared time); --rewriter has one
    rewrite prose. --max-tokens and --max-usd hold for each org run, --max-total-tokens and --max-total-usd for all
    that is asked.

    \b
    Examples:
      metaloop evolve orgs/* --dry-run
      metaloop evolve orgs/* --seed 7 --gpu-hours 0.02 --devices 2 --out runs/evolve
      metaloop evolve orgs/daily-standup --backend sim --generations 3 --population 6
      metaloop evolve docs/examples/prose-* --control orgs/tpe --model M --rewriter M --max-total-usd 5
    """
    from metaloop.edges import session
    from metaloop.edges.evolution.carry import carry_out_evolution, show_plan
    from metaloop.edges.evolution.terms import evolution_terms, gather
    from metaloop.edges.thinking import check_evolution_thinking
    from metaloop.meta.evolution.plan import make_plan

    seeds, yardsticks = gather(organizations, controls, options["model"])
    terms = evolution_terms({**options, "seeds": 1}, tuple(seeds), yardsticks)
    for run in (terms.confirmation, terms.inner.run):
        target = session.target_of(run)
        known = tuple(card.name for card in run.models)  # agents and people do not evolve so far
        ready = [session.check_runnable(f, target, known) for f in (*seeds.values(), *yardsticks.values())]
    check_evolution_thinking(ready, terms)
    plan = make_plan(terms)
    if dry_run:
        print_json(plan) if options["as_json"] else show_plan(plan, click.echo)
        return
    out = options["out"] or default_out("evolve")
    folder = EvolutionFolder(out)
    if folder.terms.exists():
        raise UsageError(f"{out} already holds an evolution. Continue it with `metaloop resume {out}`.")
    folder.begin(terms, seeds | yardsticks)
    carry_out_evolution(folder, means_of(options))


evolve_command = _without(evolve_command, NOT_OURS)
