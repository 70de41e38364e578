"""Random fault configurations, each a whole simulated org run: all invariants must hold in every one.

Usage: python bench/faults.py [--cases 1000] [--first 0]. A case is drawn from its number, so a failing one is kept by
adding its number to the regressions in tests/execution/simulator/test_simulation.py.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.progress import track

from metaloop.vocabulary import events as ev
from tests.simulated import FaultCase, check_all, fault_case

COUNTED = (ev.Finished, ev.Lost, ev.ActorDied, ev.Interrupted, ev.Merged)


def describe(case: FaultCase) -> str:
    """The case in a few words."""
    return f"case {case.number}: {case.organization.name}, {case.devices} devices, {case.budget_s:.0f} device-seconds"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    failed: list[str] = []
    seen: Counter[str] = Counter()
    for number in track(range(given.first, given.first + given.cases), "fault configurations"):
        case = fault_case(number)
        try:
            run = check_all(case)
        except AssertionError as error:
            failed.append(f"{describe(case)}: {str(error).splitlines()[0] if str(error) else 'assertion'}")
            continue
        seen.update(type(event).__name__ for event in run.events if isinstance(event, COUNTED))
        seen.update(["org runs with a dead controller"] * any(isinstance(e, ev.Interrupted) for e in run.events))
    print(f"{given.cases} configurations, {len(failed)} failed")
    for name, count in sorted(seen.items()):
        print(f"  {name:34} {count}")
    for line in failed:
        print(line)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
