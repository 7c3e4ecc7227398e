# A fresh machine needs Python 3.11 or newer, make and git; the rest goes into .venv.
PYTHON ?= python3
VENV   ?= .venv
# Extra arguments for pip, such as another index for PyTorch's smaller CPU build.
PIP_ARGS ?=

BIN    := $(VENV)/bin
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest

# The fuzzer: seconds, the seed of its programs, and worker processes (by default one a core).
SECONDS ?= 600
SEED    ?= 0
JOBS    ?=
# Mutation testing: mutants of each group of source files.
MUTANTS ?= 200
# Coverage: of so many cases of a test one is run.
ONE_IN  ?= 8

.PHONY: help demo test test-slow test-peers coverage fuzz mutate imports walks lint format types docs bench clean
.NOTPARALLEL:

help:
	@echo "make demo        train a multilayer perceptron on handwritten digits, and write a page about it"
	@echo "make test        the test suite, without what is slow and without the peers"
	@echo "make test-slow   the slow tests"
	@echo "make test-peers  against PyTorch, JAX, autograd, CasADi and asdex (installs them)"
	@echo "make coverage    the lines that the quick tests run: ONE_IN=8"
	@echo "make fuzz        random NumPy programs against NumPy: SECONDS=600 SEED=0 JOBS=2"
	@echo "make mutate      faults planted into the rules and the lowering: MUTANTS=200 SEED=0"
	@echo "make imports     which folder imports which: text, or FORM=--mermaid"
	@echo "make walks       how far a few calls walk through the package"
	@echo "make lint        ruff: rules and formatting;  make format: apply them"
	@echo "make types       mypy, strict, on src"
	@echo "make docs        the documentation site, in build/site"
	@echo "make bench       every script of bench/"
	@echo "make clean       remove $(VENV) and caches (runs/ stays)"

demo: $(VENV)/.installed-train
	$(BIN)/wengert train --data digits --hidden 256,128 --activation relu --epochs 60 --batch 64 \
	    --optimizer adam --lr 0.002 --schedule cosine --weight-decay 1e-3 --seed 0 --check

test: $(VENV)/.installed-test
	$(PYTEST) -n auto -m "not slow and not peers"

test-slow: $(VENV)/.installed-test
	$(PYTEST) -n auto -m "slow and not peers"

test-peers: $(VENV)/.installed-test $(VENV)/.installed-peers
	$(PYTEST) -m peers

coverage: $(VENV)/.installed-test
	$(BIN)/python -m tools.coverage --one-in $(ONE_IN)

fuzz: $(VENV)/.installed-test
	$(BIN)/python -m fuzz --seconds $(SECONDS) --seed $(SEED) $(if $(JOBS),--jobs $(JOBS))

mutate: $(VENV)/.installed-test
	$(BIN)/python -m tools.mutate --mutants $(MUTANTS) --seed $(SEED)

# FORM=--mermaid draws a diagram, FORM=--layers prints what each folder may import.
imports: $(BIN)/python
	@$(BIN)/python -m tools.imports $(FORM)

# FORM=--hops prints each function of wengert that the calls enter.
walks: $(VENV)/.installed-test
	@$(BIN)/python -m tools.walks $(FORM)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

# Warnings are errors: a broken link, a page that is nowhere listed, a parameter that does not exist.
# The search of the site needs a server: python3 -m http.server -d build/site
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html"

bench: $(VENV)/.installed-test $(VENV)/.installed-peers
	set -e; for script in $(filter-out bench/timing.py,$(wildcard bench/*.py)); do echo "== $$script"; $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "wengert needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp file per extra of pyproject.toml, so that a second call installs nothing.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --editable ".[$*]"
	@touch $@
