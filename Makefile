# Uses the Python of the active environment; another one: make check PYTHON=.venv/bin/python
PYTHON ?= python
CODE = src tests examples weights benchmarks

.PHONY: setup check lint types test format docs golden

setup:            ## install medrov and its tools into the active environment
	$(PYTHON) -m pip install -e ".[dev]"

check: lint types test  ## everything that has to hold before a commit

lint:
	$(PYTHON) -m ruff format --check $(CODE)
	$(PYTHON) -m ruff check $(CODE)

types:
	$(PYTHON) -m mypy

test:
	$(PYTHON) -m pytest

format:           ## rewrite the code in the project's form
	$(PYTHON) -m ruff check --fix $(CODE)
	$(PYTHON) -m ruff format $(CODE)

docs:             ## rewrite the help texts in README.md
	$(PYTHON) tests/readme.py

golden:           ## accept the present help and JSON as the right ones; read the diff
	MEDROV_UPDATE_GOLDEN=1 $(PYTHON) -m pytest tests/cli tests/test_docs.py
