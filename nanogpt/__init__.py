"""nanogpt: a small GPT training target with documented knobs, fixed data and one metric.

It is useful on its own (`python -m nanogpt.train --preset cpu-tiny --set matrix_lr=0.02`) and knows nothing
of the organizations that search it. Start at `knobs.py` (what may change), `prepare.py` (what may not: data
and metric), then `train.py`. `micro.py` is the whole idea again in pure Python.
"""
