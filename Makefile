# Every target is one line that calls the command or a tool. The environment makes
# itself: `make bench DEVICE=wearable` and `make test` are the whole set-up.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEVICE ?= wearable
PRESET ?= quick
# many tests wait for clocks, links and processes: two for a core keep it busy
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
OPTIONS = $(if $(TARGET),--target '$(TARGET)') $(if $(METER),--meter '$(METER)') $(if $(MODEL),--model '$(MODEL)') $(if $(GATE),--gate $(GATE)) $(ARGS)

.PHONY: bench agents test test-long check perf doctor format lock train clean help
.DEFAULT_GOAL := help

bench: $(VENV)/.installed ## run the benchmark: DEVICE= PRESET= TARGET= METER= MODEL= GATE= ARGS=
	@$(BIN)/duanping run --device '$(DEVICE)' --preset '$(PRESET)' $(OPTIONS)

agents: $(VENV)/.installed ## build the C runner for boards and phones without Python: ARGS=aarch64
	@$(BIN)/python -m harness.targets.runner $(ARGS)

doctor: $(VENV)/.installed ## look at this machine and say what would disturb a measurement
	@$(BIN)/duanping doctor

test: $(VENV)/.installed-dev ## run the tests; those that wait for long in real time: make test-long
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m 'not long' $(ARGS)

test-long: $(VENV)/.installed-dev ## run the tests that wait for half a minute and more in real time
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m long $(ARGS)

check: $(VENV)/.installed-dev ## linters, types, layering, spelling: what CI checks
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/codespell

perf: $(VENV)/.installed-dev ## speed of the harness itself, as ratios in one run
	@$(BIN)/pytest tests/perf --benchmark-only -p no:randomly $(ARGS)

format: $(VENV)/.installed-dev ## put the code into its form
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

lock: $(VENV)/.installed-dev ## write the versions installed now to constraints.txt
	@$(BIN)/pip freeze --exclude-editable > constraints.txt

train: $(VENV)/.installed-train ## train the reference models that have an accuracy anew (about 20 min; needs espeak-ng)
	@cd models && '$(abspath $(BIN))/python' -m train $(ARGS)

clean: ## remove the environment and everything that was built
	@rm -rf $(VENV) dist build .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 10

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 …' >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml constraints.txt
	@echo 'Installing into $(VENV) (once; a minute or two) …' >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ssh]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo 'Installing the tools for tests and checks (once) …' >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,genai,int4,joulescope,peers,ssh,tc66c]'
	@touch $@

$(VENV)/.installed-train: $(VENV)/.installed
	@echo 'Installing what training needs (once; some 200 MB) …' >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	@touch $@
