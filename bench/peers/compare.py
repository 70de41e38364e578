"""Organizations beside hyperparameter tuners: same trainer, knobs, device time, devices and seeds.

    python bench/peers/compare.py --out runs/peers                         # simulated, 30 seeds
    python bench/peers/compare.py --real --seeds 10 --out runs/peers-real   # real cpu-tiny trainings

Needs the environment of ``requirements.txt`` (``make bench-peers`` makes it). Every run is appended to OUT/runs.jsonl
as it ends, so the same command on the same OUT goes on where it stopped; results.json, table.md and anytime.svg are
written anew after every seed. docs/peers.md says what is fair about it and what is not.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.peers.catalogue import PEERS, make_peer  # noqa: E402
from bench.peers.picture import draw  # noqa: E402
from bench.peers.results import Run, compare_all  # noqa: E402
from bench.peers.sides import RealSides, SimulatedSides  # noqa: E402
from bench.peers.table import markdown  # noqa: E402
from bench.peers.terms import Terms  # noqa: E402
from metaloop.execution.nanogpt_trainer import knobs  # noqa: E402
from metaloop.files.org_file import load_organization  # noqa: E402
from metaloop.files.run_folder import append_line, read_json, read_lines, write_json  # noqa: E402
from metaloop.vocabulary.errors import MetaloopError, UsageError  # noqa: E402
from metaloop.vocabulary.space import Space  # noqa: E402


def shipped_organizations() -> list[Path]:
    """Every organization of ``orgs/`` that is no control."""
    found = sorted(path.parent for path in (ROOT / "orgs").rglob("ORG.md"))
    return [folder for folder in found if not load_organization(folder).control]


def unavailable(names: tuple[str, ...], sides: SimulatedSides | RealSides) -> dict[str, str]:
    """Peers that cannot be made here, and why."""
    missing = {}
    for name in names:
        try:
            make_peer(name, sides.space, 0, 100)
        except ImportError as error:
            missing[name] = str(error).splitlines()[0]
    return missing


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of what the peers are made of, as far as they are installed."""
    found = {}
    for package in sorted({package for name in names for package in PEERS[name].packages}):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def go(out: Path, terms: Terms) -> None:
    """Do every run that OUT lacks, seed by seed, the sides in turn; write down what is known after each seed."""
    lines = out / "runs.jsonl"
    done = {(run.side, run.name, run.seed) for run in read_lines(lines, Run)}
    sides = RealSides(terms, out) if terms.real else SimulatedSides(terms)
    missing = unavailable(terms.peers, sides)
    present = [name for name in terms.peers if name not in missing]
    with sides:
        for seed in range(terms.seed, terms.seed + terms.seeds):
            for name in terms.organizations:
                if ("organization", name, seed) not in done:
                    append_line(lines, sides.organization(name, seed))
            for name in present:
                if ("peer", name, seed) not in done:
                    append_line(lines, sides.peer(name, seed))
            write_down(out, terms, missing)
            print(f"seed {seed} done", file=sys.stderr, flush=True)


def write_down(out: Path, terms: Terms, missing: dict[str, str]) -> None:
    """Results, table and picture of the runs so far."""
    results = compare_all(read_lines(out / "runs.jsonl", Run), versions(terms.peers), missing)
    write_json(out / "results.json", results)
    (out / "table.md").write_text(markdown(results))
    draw(results.organizations, results.peers, out / "anytime.svg")


def read_terms(given: argparse.Namespace) -> Terms:
    """The terms that the options come to, or those that OUT was begun with.

    Raises:
        UsageError: they differ, or name something unknown.
    """
    unknown = [name for name in given.peers if name not in PEERS]
    if unknown:
        raise UsageError(f"unknown peer {unknown[0]!r}. Known: {', '.join(PEERS)}.")
    folders = [path.resolve() for path in given.organizations or shipped_organizations()]
    terms = Terms(
        organizations={folder.name: str(folder) for folder in folders},
        peers=tuple(given.peers),
        real=given.real,
        seed=given.seed,
        seeds=given.seeds or (10 if given.real else 30),
        gpu_hours=given.gpu_hours,
        devices=given.devices,
        confirm_pairs=given.confirm_pairs,
        trainer_python=str(given.trainer_python),
        peer_focus=tuple(given.peer_focus),
    )
    path = given.out / "terms.json"
    if path.exists():
        begun = read_json(path, Terms)
        if not begun.continued_by(terms):
            raise UsageError(f"{given.out} holds a comparison on other terms ({path}). Name another --out.")
    write_json(path, terms)
    return terms


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--organizations", nargs="+", type=Path, metavar="ORG", help="default: all but the controls")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--seed", type=int, default=70_000, help="first seed; evolution has used none of these")
    parser.add_argument("--seeds", type=int, help="paired runs [default: 30; 10 with --real]")
    parser.add_argument("--gpu-hours", type=float, default=0.02)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--confirm-pairs", type=int, default=4)
    parser.add_argument("--real", action="store_true", help="real cpu-tiny trainings, in real time")
    parser.add_argument(
        "--trainer-python", type=Path, default=ROOT / ".venv/bin/python", help="--real: Python that has torch and Ray"
    )
    parser.add_argument(
        "--peer-focus",
        nargs="+",
        default=[],
        metavar="GROUP",
        choices=Space(knobs()).groups,
        help="knob groups that the peers are told to look at alone, as an evolved organization may be [default: all]",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/peers"))
    given = parser.parse_args()
    try:
        go(given.out, read_terms(given))
    except MetaloopError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print((given.out / "table.md").read_text())


if __name__ == "__main__":
    main()
