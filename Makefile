# Needs Python 3.11 or later and make; everything else is installed into .venv.
#
#   make demo         tune a model on real data, without a key; prints what it gained
#   make lab          the same in JupyterLab
#   make test         the tests (test-all: the long ones too)
#   make test-newest  the core tests with another Python: make test-newest NEWEST=python3.14
#   make soak         100 times kill -9 of a run, and other long tests of what may be lost
#   make bench        the benchmarks with short settings, a table for each claim (docs/performance.md)
#   make check        style, types, what may not stand in the tree
#   make docs         the documentation site, in build/site
#   make examples     run the example notebooks and save them with their outputs
#   make lite         the saved notebooks in JupyterLite, in build/lite: they read in a browser, without a server's kernel
#   make clean        remove all that these made

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# The files of tests are spread over two processes more than there are cores, as many wait for browsers and kernels; those of
# one file share what is slow to start, and those of the browser, the slowest, come first. Real browsers, kernels and servers on a busy
# machine are late at times: a test that fails has a second try, and the report names it.
PARALLEL = -n $(shell $(BIN)/python -c 'import os; print(min(os.cpu_count(), 4) + 2)') --dist loadfile \
	--no-loadscope-reorder --reruns 1
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --progress-bar off
# Where bytecode is not written, each of the hundreds of processes of the tests compiles what it imports anew.
export PYTHONDONTWRITEBYTECODE :=
FRONT_END := hatch_build.py $(shell find labextension -type f -not -path '*/node_modules/*' \
	-not -path '*/lib/*' -not -path '*/test/*' -not -name '*.tsbuildinfo')

.PHONY: demo lab test test-all test-core test-lowest test-newest soak bench check docs examples lite chromium postgresql clean

demo: $(VENV)/.installed
	$(BIN)/python examples/run_demo.py

lab: $(VENV)/.installed
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) examples/quickstart.ipynb

test: $(VENV)/.tools chromium postgresql
	$(BIN)/python -m pytest $(PARALLEL)

test-all: $(VENV)/.tools chromium postgresql test-lowest
	$(BIN)/python -m pytest $(PARALLEL) -m ""

# with the lowest versions of all dependencies that pyproject.toml allows; without the tests of the front end,
# and without two cases that those versions of scikit-learn and LightGBM cannot do themselves
test-lowest: $(VENV)-lowest/.installed
	$(VENV)-lowest/bin/python -m pytest -m "not long and not browser" --ignore tests/test_front_end.py \
		--ignore tests/test_install.py -k "not polars and not (svc and own)"

# the wheel's dependencies in their newest versions, on the newest Python that is here or that NEWEST= names
NEWEST ?= $(shell for p in python3.14 python3.13 python3.12 $(PYTHON); do \
	$$p -c '' 2>/dev/null && echo $$p && break; done)
test-newest: $(VENV)-newest/.installed
	$(VENV)-newest/bin/python -m pip check
	$(VENV)-newest/bin/python -m pytest -m "not long and not browser and not service" tests/space tests/task \
		tests/evaluation tests/samplers tests/tuning tests/storage tests/sklearn_api tests/llm tests/magic \
		tests/test_core_only.py

soak: $(VENV)/.tools postgresql
	SLLMBO_SOAK=1 $(BIN)/python -m pytest -m "" --timeout 3000 tests/tuning/test_kill.py tests/tuning/test_soak.py \
		tests/llm/test_soak.py tests/storage/test_databases.py

# what needs data from elsewhere is left out: tables.py, real_data.py
BENCHMARKS := "yardstick.py --models lightgbm forest --sizes small --trials 15 --seeds 1 --repeats 3" \
	"time_to_score.py run --tasks digits-knn digits-svc diabetes-lightgbm --trials 20 --seeds 1" \
	"equal_cost.py --trials 15 --seeds 1" "fold_racing.py --data moons diabetes --trials 15 --seeds 1" \
	"sampler_cost.py --trials 50 --judge 50" \
	"pruning.py --trials 15 --seeds 1" "latency.py --trials 15" "tokens.py --trials 50" "dashboard_cost.py" \
	"many_trials.py --trials 300" "memory.py" "patience.py --trials 40 --seeds 1" "no_harm.py --trials 30 --seeds 3"
bench: $(VENV)/.tools
	@set -e; for line in $(BENCHMARKS); do \
		printf '\n## benchmarks/%s\n\n' "$$line"; PYTHONPATH=. $(BIN)/python benchmarks/$$line; done

check: $(VENV)/.tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python .ci/check_tree.py
	cd labextension && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check

docs: $(VENV)/.tools
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "build/site/index.html"

lite: $(VENV)/.tools
	mkdir -p build && cd build && "$(CURDIR)/$(BIN)/jupyter" lite build --contents ../examples --output-dir lite
	@echo "build/lite/index.html: python -m http.server -d build/lite"

examples: $(VENV)/.tools
	$(BIN)/python examples/save.py

chromium:
	@sh .ci/chromium.sh

postgresql:
	@sh .ci/postgresql.sh

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-newest build dist demo-output .sllmbo examples/.sllmbo .pytest_cache .mypy_cache \
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
	$(PIP) --group test --group check --group docs
	@touch $@

$(VENV)-lowest/.installed: $(VENV)/.made pyproject.toml tests/lowest.txt
	rm -rf $(VENV)-lowest
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip --disable-pip-version-check install --quiet --upgrade pip
	$(VENV)-lowest/bin/python -m pip --disable-pip-version-check install --quiet --progress-bar off \
		--constraint tests/lowest.txt --group test --editable ".[notebook,openai,anthropic,lightgbm,plots]"
	@touch $@

$(VENV)-newest/.installed: pyproject.toml $(FRONT_END)
	rm -rf $(VENV)-newest
	$(NEWEST) -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip --disable-pip-version-check install --quiet --upgrade pip
	$(VENV)-newest/bin/python -m pip --disable-pip-version-check install --quiet --progress-bar off \
		--group test --editable ".[notebook,openai,anthropic,lightgbm,plots]"
	@touch $@
