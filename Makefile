PYTHON ?= python3
GALLERY ?= 1
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)

.PHONY: demo test test-all lint types docs dist clean

# Reinstalled when the dependencies change.
.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/python -m pip install --quiet -e '.[dev,docs]'
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

# With GALLERY=0 the examples are shown without being run.
docs: .venv/installed-docs  ## Documentation in docs/_build/html; warnings are errors
	GALLERY=$(GALLERY) $(BIN)/python -m sphinx -b html -E -W --keep-going -n -q docs docs/_build/html

dist: .venv/installed  ## Wheel and source distribution in dist/
	rm -rf build dist
	$(BIN)/python -m build

clean:
	rm -rf .venv demo build dist docs/_build docs/gallery docs/reference/api *.egg-info .pytest_cache .mypy_cache .ruff_cache
