"""``metaloop fidelity``: how far the simulator is from reality."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from metaloop.edges.commands.options import default_out, make_terms, run_options
from metaloop.edges.commands.real_run import prepare_real
from metaloop.edges.device_groups import check_alone
from metaloop.edges.means import means_of
from metaloop.files.run_folder import RunFolder, RunTerms, write_json
from metaloop.vocabulary.errors import UsageError


@click.command("fidelity")
@click.argument("organizations", nargs=-1, type=click.Path(path_type=Path), metavar="[ORG...]")
@click.option(
    "--real",
    type=click.Path(path_type=Path),
    default=None,
    help="A finished real run to compare with, instead of running the organizations now.",
)
@click.option(
    "--sim-data",
    default="stdlib",
    show_default=True,
    help="The surrogate that is judged: stdlib for the shipped one, or a model's file.",
)
@click.option(
    "--sim-seeds",
    type=click.IntRange(1, 1000),
    default=30,
    show_default=True,
    help="Simulated org runs of each organization: many, so that what differs is the simulator and not its luck.",
)
@run_options
def fidelity_command(organizations: tuple[Path, ...], real: Path | None, sim_data: str, **options: Any) -> None:
    """Run the same organizations for real and simulated, on the same budget and devices, and compare what comes out.

    Prints and stores Kendall's tau of the two rankings with an interval (and the tau that the real ranking has with
    itself on other seeds), the errors of gain, utilization, makespan, experiments and merges for each organization,
    and whether the simulator's best is the real best. The folder holds both runs whole (real/ and simulated/),
    fidelity.json and fidelity.svg. Interrupted, the same command with the same --out goes on.

    \b
    Examples:
      metaloop fidelity orgs/* --seeds 6 --gpu-hours 0.02 --out runs/fidelity
      metaloop fidelity --real runs/20261123 --cluster my-laptop.yaml
    """
    from metaloop.edges import session
    from metaloop.edges.fidelity import show_fidelity
    from metaloop.edges.progress import Progress
    from metaloop.meta.fidelity import compare_worlds
    from metaloop.meta.measure import measure_run

    if options["backend"] == "sim":
        raise UsageError("fidelity compares real org runs with simulated ones. Drop --backend sim, or name --real.")
    out = options["out"] or default_out("fidelity")
    progress = Progress()
    if real is None:
        real = prepare_real(organizations, out, options)
        terms = RunFolder(real).read_terms()
        with session.open_backend(terms, means_of(options), progress) as backend:
            session.execute(RunFolder(real), backend, progress)
        session.conclude(RunFolder(real))
    elif organizations:
        raise UsageError("--real names a finished run with its organizations. Drop the ORG arguments.")
    terms = RunFolder(real).read_terms()
    check_alone(terms.devices_per_experiment)
    simulated = _prepare_simulated(real, out, terms, options, sim_data)
    session.execute(simulated, session.simulator_of(simulated.read_terms()), progress)
    session.conclude(simulated)
    fidelity = compare_worlds(measure_run(real), measure_run(simulated.path))
    write_json(out / "fidelity.json", fidelity)
    show_fidelity(fidelity, out, options["as_json"])


def _prepare_simulated(real: Path, out: Path, terms: RunTerms, options: dict[str, Any], sim_data: str) -> RunFolder:
    """The simulated run's folder, always made anew: it costs nothing, and the simulator may have changed."""
    import shutil

    from metaloop.edges import session

    shutil.rmtree(out / "simulated", ignore_errors=True)
    changed = {"backend": "sim", "trainer": "surrogate", "data": sim_data, "accelerator": ""}
    simulated = make_terms({**options, **changed}, terms.organizations, {})
    own = RunFolder(real).organizations
    same = msgspec.structs.replace(
        simulated,
        preset=terms.preset,
        gpu_hours=terms.gpu_hours,
        devices=terms.devices,
        seed=terms.seed,
        seeds=max(terms.seeds, options["sim_seeds"]),
        confirm_pairs=terms.confirm_pairs,
    )
    return session.create(out / "simulated", same, {name: own / name for name in terms.organizations})
