# Everything sets itself up: a machine with Python 3.11+, make and git is enough.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo demo-real test test-slow check bench notebooks clean help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up $(VENV) (once, about two minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip==26.3
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev -e '.[embedded,litellm]'
	@touch $@

demo: $(STAMP)  ## teach a simulated student in under a minute and print its report
	@$(BIN)/strategist demo

demo-real: $(STAMP)  ## coach a real small model on this machine's CPU (GGUF=path to use your own)
	@$(BIN)/strategist demo --real $(if $(GGUF),--gguf $(GGUF))

test: $(STAMP)  ## lint, types, import order, all fast tests with branch coverage
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest --cov --cov-report=term

check: $(STAMP)  ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test-slow: $(STAMP)  ## tests against real models: llama.cpp, and vLLM on the CPU (3.4 GB); says what it sets up
	@$(BIN)/python tests/slow/prepare.py
	@$(BIN)/python -m pytest -m slow -rs

bench: $(STAMP)  ## studies and benchmarks under evals/
	@$(BIN)/python -m evals

notebooks: $(STAMP)  ## execute the notebooks in place
	@$(BIN)/python -m pytest tests/test_notebooks.py

clean:  ## remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* dist
