"""What a second, or a further, device brings to one training: `python -m bench.device_groups 2 --pairs 10`.

Trains the baseline of a preset in turns on one device and on several, on the same seeds, in warm processes of this
machine; prints wall seconds of both, the mean of their ratios with a 95 % interval, and how far the scores lie apart.
Other work on the machine slows several devices more than one: each step waits for the slowest. The first rank's
processor time, which other work hardly changes, says what would be left on cores that nobody else uses, at best.
"""

from __future__ import annotations

import argparse
import os

from metaloop.execution.nanogpt_trainer import make
from metaloop.execution.trainer import TrainerSpec
from metaloop.meta.statistics import t_interval
from metaloop.vocabulary.records import TrainingRequest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("devices", type=int, help="devices of a group")
    parser.add_argument("--preset", default="cpu-tiny")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--gpu", action="store_true", help="CUDA devices and NCCL")
    given = parser.parse_args()
    one = make(TrainerSpec("nanogpt", given.preset, "stdlib"), given.gpu)
    several = make(TrainerSpec("nanogpt", given.preset, "stdlib", devices=given.devices), given.gpu)
    ratios, processor, seconds, apart = [], [], [], 0.0
    for seed in range(given.pairs):
        pair = [trainer.train(TrainingRequest({}, seed)) for trainer in (one, several)]
        seconds.append([result.seconds for result in pair])
        ratios.append(pair[0].seconds / pair[1].seconds)
        processor.append(pair[0].cpu_seconds / pair[1].cpu_seconds)
        apart = max(apart, abs(pair[0].bpb["val"] - pair[1].bpb["val"]))
        print(f"seed {seed}: {seconds[-1][0]:.2f} s on 1, {seconds[-1][1]:.2f} s on {given.devices}", flush=True)
    least = [min(column) for column in zip(*seconds, strict=True)]
    print(f"{given.preset}, one device over {given.devices}: wall time {ratio(ratios)}")
    print(f"processor time of the first rank: {ratio(processor)}")
    print(f"fastest of each: {least[0]:.2f} s and {least[1]:.2f} s; scores at most {apart:.1e} bpb apart")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def ratio(values: list[float]) -> str:
    """Mean with its interval."""
    found = t_interval(values)
    low, high = found.ci95 or (float("nan"), float("nan"))
    return f"{found.mean:.2f} [{low:.2f}, {high:.2f}] (n = {found.n} pairs)"


if __name__ == "__main__":
    main()
