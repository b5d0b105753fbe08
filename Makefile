# Two commands do all the set-up: `make demo` and `make test`. They need Python >= 3.11, make, git
# and, for the tests, a C++ compiler and the programs of tests/programs.py (editors, rsync, strace, groff):
# those that are missing are asked for or, for root where there is apt-get, installed. Everything
# else is installed below this directory, and the reference PDS below ~/.cache/syncd-tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := $(VENV)-lowest
SITE := $(VENV)-site
RELEASE := .venv-release
# The tests run in this many processes, each with a reference PDS of its own: twice the two cores of
# CI, because a test waits for a server or a daemon for much of its time.
JOBS ?= 4
# The other Pythons that `make pythons` looks for.
PYTHONS ?= python3.12 python3.13 python3.14
SPREAD := -n $(JOBS) --dist loadgroup

# Python keeps what it compiles: else each of the thousand processes of the tests compiles it anew.
unexport PYTHONDONTWRITEBYTECODE

# Which environment, which pins, which extra. The build backend is pinned like everything else: it is
# installed first and used as it is, where pip would fetch the newest for itself.
install = $(1)/bin/python -m pip --disable-pip-version-check --quiet install --constraint $(2)
define install_syncd
	$(install) hatchling editables
	$(install) --no-build-isolation --editable '.[$(3)]'
endef

.PHONY: demo test tests lint types programs reference lowest coverage disks pythons others packages deb locked readability site tools peers-pds stress model torture mutants bench flames publish idle pictures format clean

demo: $(VENV)/.demo
	$(BIN)/syncd demo $(if $(ONCE),--once)

# The types are checked beside the tests: that takes one core, and tests wait now and then.
test: lint programs reference
	$(MAKE) --no-print-directory --jobs=2 types tests

tests: $(VENV)/.test
	$(BIN)/python -m pytest $(SPREAD) $(PYTEST)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

programs: $(VENV)/.test
	$(BIN)/python -m tests.programs

reference: $(VENV)/.test
	$(BIN)/python -m tests.reference.install
	$(BIN)/python -m tests.arroba.install

# The oldest versions that pyproject.toml admits, without the reference PDS; and what the tests reach.
lowest: $(LOWEST)/.test
	$(LOWEST)/bin/python -m tests.programs
	JOBS=$(JOBS) $(LOWEST)/bin/python -m tests.covered

# What the tests reach, with the newest versions: quicker to repeat than `make lowest`.
coverage: $(VENV)/.test programs
	JOBS=$(JOBS) $(BIN)/python -m tests.covered

# The main job on file systems of other kinds: exFAT, NTFS, sshfs and more. Root and /dev/fuse are needed.
disks: $(VENV)/.test reference
	$(BIN)/python -m tests.programs disks
	$(BIN)/python -m pytest -n 2 --only disks tests/disks $(PYTEST)

# Every other Python of PYTHONS that is on this machine, each in an environment of its own.
pythons:
	@set -e; for python in $(PYTHONS); do \
	    if command -v $$python >/dev/null; then $(MAKE) others VENV=.venv-$$python PYTHON=$$python; \
	    else echo "NOT TESTED with $$python: it is not on this machine"; fi; \
	done

others: $(VENV)/.test programs
	$(BIN)/python -m pytest $(SPREAD) -m "not reference" $(PYTEST)

# Packages of syncd: what is in them, and that they run where they are installed. Root is needed, on Debian 12 or newer.
packages: $(VENV)/.test $(RELEASE)/.made
	$(BIN)/python -m tests.programs packages
	$(BIN)/python -m pytest --only packages tests/docs/test_packaging.py tests/docs/test_installs.py tests/docs/test_debian.py tests/docs/test_release.py $(PYTEST)

# A Debian package for the Debian of this machine, in dist.
deb: $(VENV)/.test
	$(BIN)/python -m hatchling build -t wheel -d dist
	$(BIN)/python -m release.deb dist/syncd-$$($(BIN)/python -c 'import syncd; print(syncd.__version__)')-py3-none-any.whl dist

# The hashes of all that syncd needs, made anew from constraints.txt.
locked: $(RELEASE)/.made
	{ sed -n '/^#/p' release/locked.txt; $(RELEASE)/bin/uv pip compile --quiet pyproject.toml --extra fast --extra keyring \
	    --extra sandbox --constraint constraints.txt --generate-hashes --universal --no-annotate --no-header; } > $(RELEASE)/locked.txt
	mv $(RELEASE)/locked.txt release/locked.txt

# How documents, docstrings and messages read: sentences, passives, idioms; SHOW=messages names each idiom.
readability: $(VENV)/.test
	$(BIN)/python -m tests.docs.readability $(SHOW)

# The site of the documents, in build/site: no link may lead nowhere. Where there is a chromium, it opens each page.
site: $(VENV)/.test $(SITE)/.made
	$(BIN)/python -m pytest --only site tests/docs/test_site.py $(PYTEST)
	$(SITE)/bin/python -m docs.site.build build/site
	@echo "the site is in build/site"

# What protects no record: what `make bench` measures and draws, with the tools of others; clients of
# others on the sandbox; and that the pictures of the README still show what comes out.
tools: $(VENV)/.test reference
	$(BIN)/python -m pytest $(SPREAD) --only tools tests/bench tests/docs tests/sandbox tests/mirror/editors tests/editors $(PYTEST)

# The PDS contract and the main job on PDSes of another make and age, which are installed from npm.
peers-pds: $(VENV)/.test reference
	$(BIN)/python -m tests.peers.install
	$(BIN)/python -m pytest $(SPREAD) --only peers-pds tests/contract $(PYTEST)

# The random and the large tests at their full size, on the disk, from the seed SEED or that of the day.
stress: $(VENV)/.test programs reference
	SYNCD_STRESS=1 SYNCD_SEED=$(SEED) $(BIN)/python -m pytest $(SPREAD) $(PYTEST) \
	    $(shell grep -rl --include='test_*.py' 'tests\.chance' tests)

# Random schedules of the whole system: N of them, from the seed SEED.
model: $(VENV)/.test
	$(BIN)/python -m tests.model $(or $(N),2000) $(or $(SEED),1)

# The daemon, killed N times while others write.
torture: $(VENV)/.test reference
	SYNCD_KILLS=$(or $(N),500) SYNCD_SEED=$(SEED) SYNCD_COUNTS=$(CURDIR)/$(VENV)/.kills \
	    $(BIN)/python -m pytest -q -s -rN tests/e2e/test_kills.py
	@cat $(VENV)/.kills

# What syncd costs, beside others: the rows ROWS of docs/performance.md, or all. `publish` writes the page.
bench: $(VENV)/.test reference
	$(BIN)/python -m bench $(ROWS) --records $(or $(RECORDS),100000) --rounds $(or $(ROUNDS),5) \
		--changes $(or $(CHANGES),10) --seconds $(or $(SECONDS),60)

flames: $(VENV)/.test reference
	$(BIN)/python -m bench.flames $(RECORDS)

publish: $(VENV)/.test
	$(BIN)/python -m bench.publish

# What a daemon of many mirrors costs while nothing happens, in about ten minutes:
# make idle N="50 1000 330" (mirrors, records, seconds).
idle: $(VENV)/.test
	$(BIN)/python -m bench.mirrors $(N)

# What the README shows, made anew from what the commands print.
pictures: $(VENV)/.test
	$(BIN)/python -m docs.pictures

# Bugs planted one by one: a test must fail for each.
mutants: $(VENV)/.test
	$(BIN)/python -m tests.mutants $(M)

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(LOWEST) $(SITE) $(RELEASE) build .venv-python* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "syncd needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(call install_syncd,$(VENV),constraints.txt,sandbox)
	touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml constraints.txt
	$(call install_syncd,$(VENV),constraints.txt,dev)
	touch $@

$(SITE)/.made: docs/site/requirements.txt
	$(PYTHON) -m venv --clear $(SITE)
	$(SITE)/bin/python -m pip --disable-pip-version-check --quiet install --requirement docs/site/requirements.txt
	touch $@

$(RELEASE)/.made: release/tools.txt
	$(PYTHON) -m venv --clear $(RELEASE)
	$(RELEASE)/bin/python -m pip --disable-pip-version-check --quiet install --requirement release/tools.txt
	touch $@

$(LOWEST)/.test: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv --clear $(LOWEST)
	$(call install_syncd,$(LOWEST),constraints-lowest.txt,bench)
	touch $@
