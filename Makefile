# Wraps the plain lines of the README: sets .venv up when something about the installation changed, then runs one of them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
STAMP := $(VENV)/installed.stamp

.PHONY: install demo test lint soak web

install: $(STAMP)

$(STAMP): setup.py pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed; say which with: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install -c constraints.txt -e ".[test]"
	$(BIN)/python -c "import pathlib; pathlib.Path('$(STAMP)').touch()"

demo: install
	$(BIN)/python -m mednca_pipeline.demo

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

soak: install
	$(BIN)/python -m benchmarks.soak

# The page for browsers, in mednca_pipeline/viewing/web_page; needs Node.js 20 or newer and npm.
web:
	cd web && npm ci --ignore-scripts --no-audit --no-fund && npm test && npm run build
