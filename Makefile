# The Python of the active environment; for another one: make check PYTHON=.venv/bin/python
PYTHON ?= python
# One test process per core; tests of one file run in one process and share its fixtures
WORKERS ?= -n auto --dist loadfile
CODE = src tests examples weights benchmarks

.PHONY: setup check check-all lint types test format docs golden lock

setup:            ## install medrov and its tools into the active environment
	$(PYTHON) -m pip install -e ".[dev]"

check:            ## run before each commit: linters, types, tests that are not slow; prints the time
	@start=$$(date +%s); $(MAKE) --no-print-directory lint types test && echo "make check took $$(( $$(date +%s) - start )) s"

check-all: lint types  ## run all tests, with 300 examples per property instead of 25
	$(PYTHON) -m pytest $(WORKERS) --slow --durations 10

lint:
	$(PYTHON) -m ruff format --check $(CODE)
	$(PYTHON) -m ruff check $(CODE)

types:
	$(PYTHON) -m mypy

test:             ## run the tests without the marker slow; a test above 5 s fails
	$(PYTHON) -m pytest $(WORKERS) -m "not slow" --most-seconds 5 --durations 10

format:           ## format the code
	$(PYTHON) -m ruff check --fix $(CODE)
	$(PYTHON) -m ruff format $(CODE)

docs:             ## rewrite the help texts in docs/cli
	$(PYTHON) tests/cli_pages.py

golden:           ## replace the stored help texts and JSON by the current ones; read the diff
	MEDROV_UPDATE_GOLDEN=1 $(PYTHON) -m pytest tests/cli tests/test_docs.py

lock:             ## write requirements/detect.lock; LOCK=--upgrade replaces the pinned versions by the newest
	$(PYTHON) -m uv pip compile pyproject.toml requirements/detect.in --excludes requirements/detect.exclude \
		--universal --fork-strategy fewest --generate-hashes --quiet --custom-compile-command "make lock" \
		$(LOCK) --output-file requirements/detect.lock
