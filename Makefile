PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)

.PHONY: demo test test-all lint types dist clean

# Reinstalled when the dependencies change.
.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: .venv/installed  ## Train on drawn faces; about two minutes on two cores
	$(BIN)/kerasface demo --out demo --overwrite

test: lint types  ## Lint, types and tests
	$(BIN)/python -m pytest

test-all: lint types  ## With the sweeps over every backbone, five minutes more
	$(BIN)/python -m pytest -m ""

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed
	$(BIN)/mypy

dist: .venv/installed  ## Wheel and source distribution in dist/
	rm -rf build dist
	$(BIN)/python -m build

clean:
	rm -rf .venv demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
