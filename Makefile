# Everything below needs make, bash and Python 3.11 or later, and the package registry that pip is set up for.
# What is third-party is installed from requirements/*.txt with its hash checked, and only as wheels, so that
# no build step fetches anything unchecked. Our own wheel is built by the pinned hatchling.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV ?= .venv
DEMO_ARGS ?=
# Each has brokers of its own.
WORKERS ?= 2
# `make constraints UPGRADE=--upgrade` takes the newest; without it, what is pinned stays where it may.
UPGRADE ?=

BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
WHEEL := dist/interceptors-$(VERSION)-py3-none-any.whl
# Folders too, so that a deleted file is noticed.
SOURCES := $(shell find interceptors -name __pycache__ -prune -o -print) pyproject.toml README.md LICENSE
# build: makes the wheel; demo: what it runs with; lock: cuts these files.
SETS := bench build demo docs lint lock test

.PHONY: help
help: ## this text
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: demo
demo: $(VENV)/.demo $(VENV)/.wheel ## the demonstration; DEMO_ARGS goes to `interceptors demo`
	@$(BIN)/interceptors demo $(DEMO_ARGS)

# pytest's own last line comes last, after what the check of the coverage has to say.
.PHONY: test
test: $(VENV)/.test $(VENV)/.wheel brokers ## all tests, on the installed wheel; BROKERS=none does without brokers
	@mkdir -p .cache
	@$(BIN)/pytest -m alone $(if $(MAKE_TERMOUT),--color=yes)
	@$(BIN)/pytest -m 'not alone' --numprocesses=$(WORKERS) --dist=loadfile \
		--cov --cov-context=test --cov-report= $(if $(MAKE_TERMOUT),--color=yes) | tee .cache/pytest.log
	@$(BIN)/python tests/coverage_by_module.py
	@tail -n 1 .cache/pytest.log

.PHONY: lint
lint: $(VENV)/.lint ## style, types and the import map
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: check
check: $(VENV)/.test $(VENV)/.wheel ## our own checks, on the demonstration's policy and sources
	@$(BIN)/interceptors check interceptors/demo

.PHONY: docs
docs: $(VENV)/.docs ## the documentation, into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

.PHONY: bench
bench: $(VENV)/.bench $(VENV)/.wheel ## the benchmarks, one after the other
	@for benchmark in envelope pipeline scan hop hop_rabbitmq task_celery tokens audit robustness; do $(BIN)/python benchmarks/$$benchmark.py; done

.PHONY: brokers
brokers: $(VENV)/.test ## fetch what the tests' brokers run on
	@$(BIN)/python -m tests.brokers.provision

.PHONY: wheel
wheel: $(WHEEL) ## the wheel, into dist/

.PHONY: clean
clean: ## remove what was made here, except the virtual environment
	@rm -rf dist site demo-out .cache .coverage* .hypothesis .*_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -prune -exec rm -rf {} +

.PHONY: constraints
constraints: $(VENV)/.lock ## cut constraints.txt and requirements/ anew from pyproject.toml
	@$(COMPILE) pyproject.toml --all-extras $(GROUPS:%=--group %) $(UPGRADE) --output-file constraints.txt
	@$(foreach set,build docs lock,$(SUBSET) --group $(set) --output-file requirements/$(set).txt;)
	@$(foreach set,bench lint test,$(SUBSET) pyproject.toml --group $(set) --output-file requirements/$(set).txt;)
	@$(SUBSET) pyproject.toml --extra demo --output-file requirements/demo.txt

GROUPS := $(filter-out demo,$(SETS))
# Neither a folder of wheels nor a configuration of this machine may have a say in what is pinned.
COMPILE := env -u UV_FIND_LINKS $(BIN)/uv pip compile --no-config --quiet --universal --python-version 3.11 \
	--generate-hashes --no-annotate --custom-compile-command 'make constraints'
SUBSET := $(COMPILE) --constraint constraints.txt

# --- what is installed: each has a stamp in the environment ------------------------------------------------

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "needs Python 3.11 or later: make PYTHON=...")'
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(SETS:%=$(VENV)/.%): $(VENV)/.%: requirements/%.txt | $(VENV)/pyvenv.cfg
	@echo "installing $<"
	@$(PIP) install --require-hashes --only-binary :all: --requirement $<
	@touch $@

$(WHEEL): $(SOURCES) | $(VENV)/.build
	@echo -n "building "
	@$(BIN)/hatchling build --target wheel --directory dist

$(VENV)/.wheel: $(WHEEL)
	@echo "installing $<"
	@$(PIP) install --no-index --no-deps --force-reinstall $<
	@touch $@
