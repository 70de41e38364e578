"""Random search over tabulated curves in Syne Tune's simulator; run in an environment of its own by ``speed.py``.

Usage: python peer_syne_tune.py TABLE.npz TRIALS WORKERS SEED. Prints one JSON line: trials that ran to their end,
reports of curve points, and CPU seconds of the simulation alone (imports and the table's loading are not counted).
"""

from __future__ import annotations

import json
import logging
import math
import sys
import time

import numpy as np
import pandas as pd
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
from syne_tune.blackbox_repository.simulated_tabular_backend import UserBlackboxBackend
from syne_tune.config_space import randint
from syne_tune.optimizer.baselines import RandomSearch


def main() -> None:
    path, trials, workers, seed = sys.argv[1], *map(int, sys.argv[2:5])
    logging.getLogger().setLevel(logging.ERROR)
    table = np.load(path)
    curves, seconds = table["bpb"], table["seconds"]
    rows, points = curves.shape
    side = math.isqrt(rows)
    space = {"a": randint(0, side - 1), "b": randint(0, side - 1)}
    blackbox = BlackboxTabular(
        hyperparameters=pd.DataFrame({"a": np.arange(rows) // side, "b": np.arange(rows) % side}),
        configuration_space=space,
        fidelity_space={"epoch": randint(1, points)},
        objectives_evaluations=np.stack([curves, seconds], axis=-1)[:, None],
        objectives_names=["bpb", "elapsed"],
    )
    tuner = Tuner(
        trial_backend=UserBlackboxBackend(blackbox, elapsed_time_attr="elapsed", seed=0),
        scheduler=RandomSearch({**space, "epochs": points}, metrics=["bpb"], random_seed=seed),
        stop_criterion=StoppingCriterion(max_num_trials_completed=trials),
        n_workers=workers,
        sleep_time=0,
        callbacks=[SimulatorCallback()],
        save_tuner=False,
        print_update_interval=1e9,
    )
    started = time.process_time()
    tuner.run()
    spent = time.process_time() - started
    status = tuner.tuning_status
    reports = status.overall_metric_statistics.count
    print(json.dumps({"trials": status.num_trials_completed, "reports": reports, "cpu_s": spent}))


if __name__ == "__main__":
    main()
