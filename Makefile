# A fresh machine needs python3 (3.11 or newer) and make; all else goes into $(VENV).
PYTHON ?= python3
VENV ?= .venv
# `make CONSTRAINTS=` installs the newest versions in place of the pinned ones.
CONSTRAINTS ?= constraints.txt
# More options for pip when it installs torch, such as PyTorch's index of CPU builds (docs/start/install.md); without
# them pip fetches the CUDA build on Linux, with or without a card.
TORCH_PIP_ARGS ?=
PYTEST_ARGS ?= -q

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
PIN := $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint readme tutorials docs wheel format clean

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

venv: $(STAMP) ## install the package and its tools into .venv

# Torch goes first and alone, so that TORCH_PIP_ARGS touches nothing else.
$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install $(PIN) $(TORCH_PIP_ARGS) torch
	$(PIP) install $(PIN) -e '.[dev]'
	@touch $@

demo: $(STAMP) ## generate a few crystals and a picture of them into demo/
	$(BIN)/crystalsmith demo -o demo --overwrite

# Two workers of one thread each: torch would otherwise start one thread a core in both.
test: $(STAMP) ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(PYTEST_ARGS)

lint: $(STAMP) ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

readme: $(STAMP) ## run every command and all Python of the README
	PYTHON=$(BIN)/python $(PYTHON) .ci/readme

tutorials: $(STAMP) ## run the tutorials and compare what they show with what is printed
	PYTHON=$(BIN)/python $(PYTHON) .ci/tutorials

# Warnings are errors; pages open from the disk.
docs: $(STAMP) ## build the documentation into build/docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees docs build/docs
	@echo "open build/docs/index.html"

# What the wheel asks for is taken from .venv, so that nothing is fetched.
wheel: $(STAMP) ## build the wheel into build/dist and try it in a clean environment
	PYTHON=$(BIN)/python $(PYTHON) .ci/wheel build/dist

format: $(STAMP) ## mend style and formatting in place
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv, caches, builds and demo/
	rm -rf $(VENV) build dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
