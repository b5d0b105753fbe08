# Two commands do all the set-up: `make demo` and `make test`. They need Python >= 3.11, make, git
# and, for the tests, a C++ compiler and vim. Everything is installed below this directory, and the
# reference PDS below ~/.cache/syncd-tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The tests run in this many processes; the reference PDS is shared by those that need it.
JOBS ?= 2

.PHONY: demo test lint types reference lowest format clean

demo: $(VENV)/.demo
	$(BIN)/syncd demo $(if $(ONCE),--once)

test: lint types reference
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(PYTEST)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

reference: $(VENV)/.test
	$(BIN)/python -m tests.reference.install

# The oldest versions that pyproject.toml admits, without the reference PDS.
lowest: $(VENV)-lowest/.test
	$(VENV)-lowest/bin/python -m pytest -n $(JOBS) --dist loadgroup -m "not reference" $(PYTEST)

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(VENV)-lowest .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "syncd needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[sandbox]'
	touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)-lowest/.test: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv --clear $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip --disable-pip-version-check --quiet install \
	    --constraint constraints-lowest.txt --editable '.[test]'
	touch $@
