# make demo: a first comparison on real MNIST. make test: everything that is checked. make docs: the documentation, in
# site/. make results: pages and pictures of published results anew, from their tables. All set up .venv themselves.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-thorough test-gpu fuzz test-ray evidence-gpu docs results lint clean

demo: $(INSTALLED)
	@echo "Two networks of one width on MNIST, conventional and depthwise separable: 8 trainings (an epoch, 4 seeds"
	@echo "each), which of them is faster, and the verdict with a page. About 90 seconds on two cores."
	$(RUN) sweep.py -m model=cnn,dwsep data=mnist width=4 train.max_epochs=1 seeds=4 bench_minutes=0.4

# One thread a process: two test processes share two cores without fighting for them.
test: $(INSTALLED) lint
	OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n 2 --dist worksteal -m "not thorough"

# What takes some minutes more on two cores, and is tried again in another way by the tests of `make test`.
test-thorough: $(INSTALLED)
	OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n 2 --dist worksteal -m thorough

# On a CUDA device, in some minutes; with DSBENCH_GPU_TESTS=cpu a rehearsal on the CPU. A line is printed and kept as each
# test ends. docs/how-to/gpu.md has the command for a machine that has the packages and no .venv.
test-gpu: $(INSTALLED)
	DSBENCH_GPU_SEEN=gpu-seen.txt OMP_NUM_THREADS=1 $(RUN) -m pytest -v -rs --durations=0 --junitxml=gpu-tests.xml -p no:cacheprovider tests/gpu

# 600 odd commands and files, of which `make test` tries a few; others with make fuzz SEED=2, one alone with
# DSBENCH_FUZZ_CASE=NUMBER in the environment.
SEED ?= 1
fuzz: $(INSTALLED)
	DSBENCH_FUZZ=$(SEED) OMP_NUM_THREADS=1 $(RUN) -m pytest -q -n 2 -rA tests/fuzz

# Sweeps on a Ray of this machine: not in `make test`, since Ray takes 240 MB.
test-ray: $(INSTALLED)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	OMP_NUM_THREADS=1 $(RUN) -m pytest -q tests/sweep/test_clusters.py -k ray

# On a machine with a GPU (docs/how-to/gpu.md): speed and sharing, then sweeps, claims and rooflines, so many minutes
# each, into outputs/gpu and its evidence.tar.gz.
MINUTES ?= 15
evidence-gpu: $(INSTALLED)
	-$(RUN) benchmarks/gpu.py --minutes $(MINUTES)
	$(RUN) benchmarks/evidence.py --minutes $(MINUTES)

# Not --quiet, under which warnings are not counted; the variable keeps Material from advertising its successor.
docs: $(INSTALLED)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build
	@echo "documentation: site/index.html, or $(RUN) -m http.server -d site"

results: $(INSTALLED)
	set -e; for runs in docs/results/*/runs.csv; do $(VENV)/bin/dsbench report $$runs; done
	$(RUN) benchmarks/chips.py docs/results/chips --page
	$(RUN) benchmarks/published.py docs/results

lint: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit('dsbench needs Python 3.11 or newer: make PYTHON=python3.11 ...' if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(INSTALLED)

clean:
	rm -rf $(VENV) site .pytest_cache .ruff_cache .mypy_cache
