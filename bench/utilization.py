"""What share of the paid device time trains, and where the rest goes: real org runs with scripted members.

    python -m bench.utilization --markdown docs/bench_utilization.md
    python -m bench.utilization --organizations tpe --seeds 5

Every org run is a real one on Ray (cpu-tiny trainings, two devices), without MLflow. Utilization is the sum of the
seconds that finished trainings took, over the device-seconds that were paid for; everything else is explained by what
the device waited for (see ``metaloop/meta/waiting.py``). Controller, git and members share the same cores.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from metaloop.meta.results import OrgRunResult, Results
from metaloop.meta.statistics import t_interval

ROOT = Path(__file__).resolve().parent.parent
ORGANIZATIONS = ("solo-greedy", "evolved/focused-scout", "careful-lab")
DEVICES = 2


def run(names: Sequence[str], seeds: int, hours: float) -> Results:
    """Real org runs, one after the other."""
    with tempfile.TemporaryDirectory() as place:
        command = [
            sys.executable, "-m", "metaloop", "run", *(str(ROOT / "orgs" / name) for name in names),
            "--devices", str(DEVICES), "--gpu-hours", str(hours), "--seeds", str(seeds), "--confirm-pairs", "2",
            "--no-mlflow", "--json", "--out", f"{place}/run",
        ]  # fmt: skip
        told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        return msgspec.json.decode(told.stdout, type=Results)


def shares(runs: Sequence[OrgRunResult]) -> Counter[str]:
    """Percent of the paid device time by what the device waited for."""
    paid = sum(run.gpu_hours for run in runs) * 3600
    total: Counter[str] = Counter()
    for org_run in runs:
        for item in org_run.waiting:
            total[item.cause] += 100 * item.seconds / paid  # type: ignore[assignment]
    return total


def table(results: Results) -> str:
    """Markdown: an organization a row, a cause a column."""
    found = {each.name: shares(each.org_runs) for each in results.organizations}
    causes = [cause for cause, _ in sum(found.values(), Counter()).most_common()]
    lines = [
        f"| organization | utilization | {' | '.join(causes)} | trainings | org runs |",
        f"| --- | --- | {' | '.join('---' for _ in causes)} | --- | --- |",
    ]
    for each in sorted(results.organizations, key=lambda each: each.name):
        estimate = t_interval([run.utilization for run in each.org_runs])
        low, high = estimate.ci95 or (estimate.mean, estimate.mean)
        parts = " | ".join(f"{found[each.name][cause]:.2f} %" for cause in causes)
        used = f"{estimate.mean:.4f} [{low:.4f}, {high:.4f}]"
        lines.append(f"| `{each.name}` | {used} | {parts} | {each.experiments} | {len(each.org_runs)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--organizations", nargs="+", default=list(ORGANIZATIONS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--gpu-hours", type=float, default=0.04)
    parser.add_argument("--markdown", type=Path, help="write the table here, too")
    given = parser.parse_args()
    results = run(given.organizations, given.seeds, given.gpu_hours)
    text = table(results)
    print(text)
    if given.markdown:
        about = (
            "# Utilization of two devices\n\n`make bench-utilization`: real cpu-tiny trainings, "
            f"{DEVICES} devices, {given.gpu_hours:g} GPU-hours an org run; {platform.machine()}, Python "
            f"{platform.python_version()}. Utilization with its 95 % t interval over the org runs; the other columns "
            "are shares of the paid device time by what the device waited for.\n\n"
        )
        given.markdown.write_text(about + text, encoding="utf-8")


if __name__ == "__main__":
    main()
