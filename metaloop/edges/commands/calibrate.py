"""``metaloop calibrate``: teach the simulator from real org runs, and say what it helped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from metaloop.edges.commands.options import default_out, run_options
from metaloop.edges.commands.real_run import prepare_real
from metaloop.edges.device_groups import check_alone
from metaloop.edges.means import means_of
from metaloop.edges.outcome import print_json
from metaloop.files.run_folder import RunFolder, write_json
from metaloop.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from metaloop.edges.calibration import Calibration


@click.command("calibrate")
@click.argument("organizations", nargs=-1, type=click.Path(path_type=Path), metavar="[ORG...]")
@click.option(
    "--real",
    type=click.Path(path_type=Path),
    default=None,
    help="A finished real run to learn from, instead of running the organizations now.",
)
@click.option(
    "--recording",
    type=click.Path(path_type=Path),
    default=None,
    help="Recorded trainings to add to: a .parquet or .jsonl [default: the shipped recording].",
)
@click.option(
    "--timing-only",
    is_flag=True,
    help="Learn the machine's delays alone: cluster.yaml for --sim-data, no refit (one seed will do).",
)
@click.option(
    "--sim-data",
    default="stdlib",
    show_default=True,
    help="With --timing-only, the surrogate that cluster.yaml is for: stdlib for the shipped one, or a model's file.",
)
@click.option("--folds", type=click.IntRange(0, 20), default=5, show_default=True, help="Cross-validation; 0: none.")
@run_options
def calibrate_command(
    organizations: tuple[Path, ...],
    real: Path | None,
    recording: Path | None,
    timing_only: bool,
    sim_data: str,
    folds: int,
    **options: Any,
) -> None:
    """Run organizations for real, add the trainings they made to the recording, refit the surrogate, and compare.

    Optimizers exploit a surrogate where it is wrong, so it must be right where they go. Half of the org runs (odd
    seeds) are kept out of a first refit and judge it: before and after, on trainings near the optimum that neither
    has seen. The final model learns from all. The folder holds the real run, recording.parquet, model.npz,
    cluster.yaml (the delays of this machine) and calibration.json; use them with --data and --cluster.

    \b
    Example:
      metaloop calibrate orgs/* --seeds 2 --gpu-hours 0.02 --out runs/calibration
      metaloop run orgs/tpe --backend sim --data runs/calibration/model.npz --cluster runs/calibration/cluster.yaml
    """
    from metaloop.edges import session
    from metaloop.edges.calibration import calibrate, measure_machine
    from metaloop.edges.progress import Progress

    if options["backend"] == "sim" or options["cluster"]:
        raise UsageError("calibration learns from real org runs. Drop --backend sim and --cluster.")
    out = options["out"] or default_out("calibration")
    progress = Progress()
    if real is None:
        real = prepare_real(organizations, out, options)
        with session.open_backend(RunFolder(real).read_terms(), means_of(options), progress) as backend:
            session.execute(RunFolder(real), backend, progress)
        session.conclude(RunFolder(real))
    elif organizations:
        raise UsageError("--real names a finished run with its organizations. Drop the ORG arguments.")
    check_alone(RunFolder(real).read_terms().devices_per_experiment)
    if timing_only:
        timing = measure_machine(RunFolder(real), sim_data, out)
        if options["as_json"]:
            print_json(timing)
        else:
            click.echo(f"Machine: {msgspec.json.encode(timing).decode()}\nCluster  {out / 'cluster.yaml'}")
        return
    done = calibrate(RunFolder(real), recording, out, folds, progress.say)
    write_json(out / "calibration.json", done)
    if options["as_json"]:
        print_json(done)
    else:
        _show(done, out)


def _show(done: Calibration, out: Path) -> None:
    rows = [
        ("held-out trainings of org runs", *(str(q.trainings) for q in (done.before, done.after))),
        ("rank correlation, all", *(f"{q.rank:.3f}" for q in (done.before, done.after))),
        ("rank correlation, best decile", *(f"{q.decile_rank:.3f}" for q in (done.before, done.after))),
        ("mean absolute error (bpb)", *(f"{q.error:.4f}" for q in (done.before, done.after))),
        ("the same, best decile", *(f"{q.decile_error:.4f}" for q in (done.before, done.after))),
        ("bias, best decile (negative: too good)", *(f"{q.decile_bias:+.4f}" for q in (done.before, done.after))),
    ]
    click.echo(f"{'':42}{'before':>10}{'after':>10}")
    for name, before, after in rows:
        click.echo(f"{name:42}{before:>10}{after:>10}")
    if done.whole is not None:
        click.echo(f"\nThe final model, by cross-validation:\n{done.whole.table()}")
    click.echo(f"\nMachine: {msgspec.json.encode(done.timing).decode()}")
    click.echo(f"Model    {out / 'model.npz'}\nCluster  {out / 'cluster.yaml'}\nRecording {out / 'recording.parquet'}")
