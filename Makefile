# `make help` lists the targets.  Everything happens in .venv and out/ (and a cache of exported networks, ~/.cache/imagetracks).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
INSTALLED := $(VENV)/.installed
# Without kept bytecode every test process rewrites and compiles the tests anew: half of the unit tests' time.
unexport PYTHONDONTWRITEBYTECODE
# Two processes with one thread each: two cores do no more.
UNIT := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow and not ray and not gpu"

.PHONY: help install run test test-unit test-gpu soak lint bench bench-quality lock docs clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(INSTALLED) ## Create .venv and install the pinned packages (about 9 GB: torch brings CUDA)

$(INSTALLED): infra/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "imagetracks needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --requirement infra/requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

run: $(INSTALLED) ## Make the sample, run the pipeline on it, score it and draw it
	@test -d $(OUT)/sample || $(BIN)/imagetracks sample $(OUT)/sample
	@$(BIN)/imagetracks run --collection $(OUT)/sample/images --workspace $(OUT)/workspace
	@$(BIN)/imagetracks evaluate --workspace $(OUT)/workspace --truth $(OUT)/sample/truth.csv \
	  --truth-events $(OUT)/sample/truth_events.csv
	@$(BIN)/imagetracks picture --workspace $(OUT)/workspace $(OUT)/tracks.png

test: lint ## Lint and run every test, the fast ones first
	$(UNIT)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "(slow or ray) and not gpu"

test-unit: $(INSTALLED) ## The fast tests alone
	$(UNIT)

test-gpu: $(INSTALLED) ## Compare CPU and GPU, where there is a GPU
	$(BIN)/python -m pytest -m gpu

soak: $(INSTALLED) ## Kill runs at random moments, N times (make soak N=20), and compare every table
	$(BIN)/python -m tests.soak $(or $(N),20)

lint: $(INSTALLED) ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED) ## Speed: ratios against hand-written loops, side by side in one run; what linking a year costs
	$(BIN)/python -m tests.bench.bench_fingerprint
	$(BIN)/python -m tests.bench.bench_extractors
	$(BIN)/python -m tests.bench.bench_pipeline
	$(BIN)/python -m tests.bench.bench_clustering
	$(BIN)/python -m tests.bench.bench_linking

bench-quality: $(INSTALLED) ## Quality: tracks and clusters beside baselines, on all sets and simulated worlds (FULL=1: 20 000 decisions each, every extractor x reduction x method)
	$(BIN)/python -m tests.bench.quality
	$(BIN)/python -m tests.bench.asking
	$(BIN)/python -m tests.bench.bench_clusterers
	$(BIN)/python -m tests.bench.by_itself
	$(BIN)/python -m tests.bench.bench_published
	$(if $(FULL),$(BIN)/python -m tests.bench.grid)

lock: ## Pin what is installed in .venv
	$(BIN)/python infra/lock.py > infra/requirements.lock.new && mv infra/requirements.lock.new infra/requirements.lock

docs: $(INSTALLED) ## Write the generated parts of the README
	$(BIN)/python infra/readme.py

clean: ## Delete what `make run` and the tests made (not .venv)
	rm -rf $(OUT) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
