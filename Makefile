# `make demo` and `make test` need nothing but Python 3.11 or later and a package index.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
PYTEST ?= $(BIN)/python -m pytest
# Two processes: the machines that this is made for have two cores.
PYTEST_ARGS ?= -n 2
TRIALS ?= 50000
MODES_TRIALS ?= 5000
FLOAT_TRIALS ?= 1000000
HART_TRIALS ?= 900
CROSS ?= riscv64-unknown-elf-

.PHONY: help demo test lint format types rooms unit soak mutants bench kernels firmware docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      record, decode and check the bundled firmware run"
	@echo "make test      lint, types, import rooms, tests"
	@echo "make bench     speed and memory (BENCH_ARGS=--help for choices)"
	@echo "make soak      the long random tests (TRIALS=$(TRIALS) MODES_TRIALS=$(MODES_TRIALS) FLOAT_TRIALS=$(FLOAT_TRIALS) HART_TRIALS=$(HART_TRIALS) of each kind)"
	@echo "make mutants   put small faults in, one at a time: does a test notice? (MUTANTS_ARGS=--help)"
	@echo "make docs      the documentation as a site, in docs/_build/html"
	@echo "make kernels   where the emulator's generated kernels are"
	@echo "make firmware  rebuild the test programs (needs $(CROSS)gcc)"
	@echo "make clean     remove the virtual environment and what tools left behind"

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "python3.11 or later is needed" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is too old: set PYTHON to a Python 3.11 or later" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/etrace demo

# The tests come last, so that the closing line of the output is pytest's verdict.
test: lint types rooms unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)
	$(BIN)/mypy

rooms: $(STAMP)
	$(BIN)/lint-imports

unit: $(STAMP)
	$(PYTEST) $(PYTEST_ARGS)

# More random programs and examples than `make unit`, and new ones.
soak: $(STAMP)
	ETRACE_TRIALS=$(TRIALS) ETRACE_MODES_TRIALS=$(MODES_TRIALS) \
	ETRACE_CONTEXT_TRIALS=$(MODES_TRIALS) ETRACE_FLOAT_TRIALS=$(FLOAT_TRIALS) \
	ETRACE_HART_TRIALS=$(HART_TRIALS) \
	HYPOTHESIS_PROFILE=soak $(PYTEST) $(PYTEST_ARGS) \
	  tests/test_product_roundtrip.py tests/test_product_encode.py tests/test_product_modes.py \
	  tests/test_model_roundtrip.py tests/test_model_modes.py tests/test_model_gaps.py \
	  tests/decoder/test_model_gaps.py tests/encoder/test_qualify.py tests/test_passages.py \
	  tests/specs tests/emu tests/test_hart_roundtrip.py

# Not part of `make test`: some minutes.
mutants: $(STAMP)
	$(BIN)/python -m tests.mutants.run $(MUTANTS_ARGS)

bench: $(STAMP)
	$(BIN)/python bench/run.py $(BENCH_ARGS)

docs: $(STAMP)
	$(BIN)/python -m sphinx -E -W -n --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

kernels: $(STAMP)
	@$(BIN)/python -m emu.engine.kernels

firmware:
	$(MAKE) -C tests/firmware CROSS=$(CROSS)
	$(MAKE) -C tests/programs CROSS=$(CROSS)
	$(MAKE) -C bench CROSS=$(CROSS)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache \
	  .hypothesis docs/_build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
