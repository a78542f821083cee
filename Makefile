# Everything a newcomer types. `make help` lists the targets.
PYTHON ?= python3
PRESET ?= tiny
VENV   := .venv
BIN    := $(VENV)/bin
VLLM_VENV ?= .venv-vllm
BENCHMARKS ?= $(filter-out __init__ measure shapes decode_engines vllm_child trace_programs tracers trainers training_jobs,$(basename $(notdir $(wildcard benchmarks/*.py))))
export OMP_NUM_THREADS ?= 1
export MLFLOW_DISABLE_TELEMETRY ?= true
export RAY_USAGE_STATS_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help run plan test test-long test-gpu test-vllm test-pythons check format ui bench vllm clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

run: $(VENV)/installed  ## install if needed, then run the pipeline (PRESET=tiny)
	$(BIN)/python pipelines/full.py --preset $(PRESET) $(ARGS)

plan: $(VENV)/installed  ## what `make run` would do, and why
	$(BIN)/python pipelines/full.py --preset $(PRESET) --plan $(ARGS)

ui: $(VENV)/installed  ## MLflow on this machine: walk from a score back to the source files
	$(BIN)/python -m cluster.tracking.ui

test: $(VENV)/installed  ## the tests, the whole smoke pipeline among them
	$(BIN)/python -m pytest $(ARGS)

test-long: $(VENV)/installed  ## the heavier tests: kills at many moments, long runs
	$(BIN)/python -m pytest -m long $(ARGS)

test-gpu: $(VENV)/installed  ## the tests that need an NVIDIA GPU (docs/gpu.md)
	$(BIN)/python -m pytest -m gpu tests/gpu $(ARGS)

test-vllm: $(VLLM_VENV)/installed  ## the tests that need vLLM, in its environment
	$(VLLM_VENV)/bin/python -m pytest -m vllm tests/model/test_vllm.py $(ARGS)

test-pythons:  ## the tracer on python3.12 and python3.13, from PATH or PYTHONS="python …"
	$(PYTHON) -m tests.stages.trace.tracer.other_python $(ARGS)

check: $(VENV)/installed  ## ruff, mypy and import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed  ## every performance claim, measured against its peer
	for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

vllm: $(VLLM_VENV)/installed  ## vLLM in an environment of its own (3 GB): a peer for bench, test-vllm

clean:  ## remove the virtual environments and the caches; runs/ is kept
	rm -rf $(VENV) $(VLLM_VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info

# One environment for running, testing and checking: the crawl's default source is what is installed
# here, so a test extra that came later would change it.
$(VENV)/installed: pyproject.toml constraints.txt prerequisites.sh
	@PYTHON=$(PYTHON) bash prerequisites.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	@touch $@

# Beside it, since vLLM wants another transformers. Its CPU kernels are linked against libnuma
# (Debian: libnuma1), and its compiled mode needs g++.
$(VLLM_VENV)/installed: constraints-vllm.txt
	@command -v g++ >/dev/null || { echo 'Missing: g++ (Debian: apt-get install g++)'; exit 1; }
	@$(PYTHON) -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null || \
	  { echo 'Missing: libnuma (Debian: apt-get install libnuma1)'; exit 1; }
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps -r constraints-vllm.txt
	$(VLLM_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@
