# Every target sets up what it needs: a virtual environment in .venv and the packages inside it.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TORCH  ?= torch==2.13.0
JOBS   ?= 3
PAGES  := tests/ui tests/benchmarks/test_smoke.py -m ui
AGAIN  := --last-failed --last-failed-no-failures none --maxfail 3

.PHONY: demo test test-again test-slow test-ray test-ui test-ui-again screenshots bench lint types check clean

demo: $(VENV)/demo.done                 ## trains four classifiers and shows their runs
	$(BIN)/python examples/quickstart.py

test: $(VENV)/test.done                 ## the default suite
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-again: $(VENV)/test.done           ## those of the default suite that failed, one after the other
	$(BIN)/python -m pytest $(AGAIN)

test-slow: $(VENV)/test.done            ## the suites that take minutes: kills, forks, full disks
	$(BIN)/python -m pytest -m "slow and not ray and not ui" -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations 10

test-ray: $(VENV)/test.done             ## what starts Ray, on two CPUs: minutes
	$(BIN)/python -m pytest -m ray

test-ui: $(VENV)/test.done chromium       ## every page in a real browser: seven minutes
	$(BIN)/python -m pytest $(PAGES) -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-ui-again: $(VENV)/test.done        ## those of them that failed, one after the other
	$(BIN)/python -m pytest $(PAGES) $(AGAIN)

screenshots: $(VENV)/test.done chromium   ## every page in both themes and on a phone, into build/screenshots
	$(BIN)/python -m tests.ui.screenshots build/screenshots

# The system's own browser, installed where it is missing and may be. PODSTACK_CHROMIUM names another.
BROWSERS := chromium-headless-shell chromium chromium-browser
APT_GET  := DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3
.PHONY: chromium
chromium:
	@if test -z "$$PODSTACK_CHROMIUM" && ! command -v $(BROWSERS) >/dev/null; then \
	  if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	    $(APT_GET) update && for name in chromium-headless-shell chromium; do \
	      $(APT_GET) install -y --no-install-recommends $$name && break; \
	    done; \
	  fi; \
	  command -v $(BROWSERS) || \
	    echo "no Chromium: install it, or set PODSTACK_CHROMIUM; the tests of pages are skipped"; \
	fi

bench: $(VENV)/test.done                ## every figure beside its baseline of the same run
	$(BIN)/python -m tests.benchmarks

check: lint types                       ## what CI asks besides the tests

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.done                 ## mypy sees the two mapped folders through a tree of links
	rm -rf .typing && mkdir -p .typing/podstack
	for entry in podstack/*; do ln -s "../../$$entry" .typing/podstack/; done
	ln -s ../../backends ../../integrations .typing/podstack/
	$(BIN)/mypy .typing/podstack

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.done: pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[demo]'
	touch $@

# torch first and by its exact version: another package would pull the build for graphics cards.
$(VENV)/test.done: pyproject.toml | $(BIN)/python
	$(PIP) '$(TORCH)'
	$(PIP) --editable '.[test]'
	touch $@

$(VENV)/dev.done: $(VENV)/test.done
	$(PIP) --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .typing build dist *.egg-info
