"""Ten thousand mutations of every kind: each child must be valid and differ only where it was mutated.

Usage: python bench/mutations.py [--each 10000] [--seed 0] [--minutes M]. Chains start from every shipped organization
(and from layouts that people write) and go up to a dozen generations deep. A chain is drawn from the seed and its
number, which are printed with whatever is found.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.progress import Progress

from tests.mutation_chains import Tally, chains, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long, whatever was reached")
    given = parser.parse_args()
    end = time.monotonic() + 60.0 * given.minutes
    tallies: dict[str, Tally] = {}
    shown = 0
    with Progress() as progress:
        bar = progress.add_task("mutations", total=None)
        for tallies in chains(given.each, given.seed):
            faults = [fault for tally in tallies.values() for fault in tally.invalid]
            for fault in faults[shown:]:
                progress.console.print(fault, markup=False)
            shown = len(faults)
            done = sum(min(tally.applied, given.each) for tally in tallies.values())
            progress.update(bar, completed=done, total=given.each * len(tallies))
            if time.monotonic() > end:
                break
    print(table(tallies))
    sys.exit(1 if shown else 0)


if __name__ == "__main__":
    main()
