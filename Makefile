# Needs Python 3.11 or later and make; everything else is installed into .venv.
#
#   make demo         tune a model on real data, without a key; prints what it gained
#   make lab          the same in JupyterLab
#   make test         the tests (test-all: the long ones too)
#   make check        style, types, what may not stand in the tree
#   make clean        remove all that these made

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --progress-bar off
FRONT_END := hatch_build.py $(shell find labextension -type f -not -path '*/node_modules/*' \
	-not -path '*/lib/*' -not -path '*/test/*' -not -name '*.tsbuildinfo')

.PHONY: demo lab test test-all test-core test-lowest check chromium clean

demo: $(VENV)/.installed
	$(BIN)/python examples/run_demo.py

lab: $(VENV)/.installed
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) examples/quickstart.ipynb

test: $(VENV)/.tools chromium
	$(BIN)/python -m pytest

test-all: $(VENV)/.tools chromium test-lowest
	$(BIN)/python -m pytest -m ""

# with the lowest versions of all dependencies that pyproject.toml allows; without the tests of the front end,
# and without two cases that those versions of scikit-learn and LightGBM cannot do themselves
test-lowest: $(VENV)-lowest/.installed
	$(VENV)-lowest/bin/python -m pytest -m "not long and not browser" --ignore tests/test_front_end.py \
		--ignore tests/test_install.py -k "not polars and not (svc and own)"

check: $(VENV)/.tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/check_tree.py
	cd labextension && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check

chromium:
	@sh .ci/chromium.sh

clean:
	rm -rf $(VENV) $(VENV)-lowest build dist demo-output .sllmbo examples/.sllmbo .pytest_cache .mypy_cache \
		.ruff_cache .hypothesis labextension/lib labextension/node_modules sllmbo_magic/labextension \
		sllmbo_magic/static
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- environments; each is made once and again when what it was made from changes

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; none was found."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml $(FRONT_END)
	$(PIP) --editable ".[all]"
	@touch $@

$(VENV)/.tools: $(VENV)/.installed
	$(PIP) --group test --group check
	@touch $@

$(VENV)-lowest/.installed: $(VENV)/.made pyproject.toml tests/lowest.txt
	rm -rf $(VENV)-lowest
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip --disable-pip-version-check install --quiet --upgrade pip
	$(VENV)-lowest/bin/python -m pip --disable-pip-version-check install --quiet --progress-bar off \
		--constraint tests/lowest.txt --group test --editable ".[notebook,openai,anthropic,lightgbm,plots]"
	@touch $@
