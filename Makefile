PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Machines that forbid compiled modules to be kept have every server, worker and command compile the 2,300
# modules that it imports: 16 s instead of 5 s, many hundred times in the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test unit soak lint clean

run: $(VENV)/.run
	$(BIN)/streamlit run app.py

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

unit: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 -m "not browser and not pages"

# Long: many kills, many sessions. Not part of the tests.
soak: $(VENV)/.test
	for script in tests/soak/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) build *.egg-info
