# Uses the Python of the active environment; another one: make check PYTHON=.venv/bin/python
PYTHON ?= python
# One test process a core; tests of one file stay together, so that they share what it sets up
WORKERS ?= -n auto --dist loadfile
CODE = src tests examples weights benchmarks

.PHONY: setup check check-all lint types test format docs golden

setup:            ## install medrov and its tools into the active environment
	$(PYTHON) -m pip install -e ".[dev]"

check:            ## what has to hold before a commit, without the slow tests; says how long it took
	@start=$$(date +%s); $(MAKE) --no-print-directory lint types test && echo "make check took $$(( $$(date +%s) - start )) s"

check-all: lint types  ## everything, with 300 examples a property in place of 25
	$(PYTHON) -m pytest $(WORKERS) --slow --durations 10

lint:
	$(PYTHON) -m ruff format --check $(CODE)
	$(PYTHON) -m ruff check $(CODE)

types:
	$(PYTHON) -m mypy

test:             ## tests without the marker slow; one that takes over 5 s fails
	$(PYTHON) -m pytest $(WORKERS) -m "not slow" --most-seconds 5 --durations 10

format:           ## rewrite the code in the project's form
	$(PYTHON) -m ruff check --fix $(CODE)
	$(PYTHON) -m ruff format $(CODE)

docs:             ## rewrite the help texts in README.md
	$(PYTHON) tests/readme.py

golden:           ## accept the present help and JSON as the right ones; read the diff
	MEDROV_UPDATE_GOLDEN=1 $(PYTHON) -m pytest tests/cli tests/test_docs.py
