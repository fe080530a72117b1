# make demo and make test do all the set-up that they need; everything else is for people who work on kcompress.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Loops that cross a module are 10 to 40 times slower without cross-module optimization. A module that is imported has to be a
# declared dependency.
SWIFT_FLAGS := -c release -Xswiftc -cross-module-optimization --explicit-target-dependency-import-check error
# Tests import modules with @testable. Without that flag the program is a tenth faster, so it is in builds for tests alone.
TEST_FLAGS := $(SWIFT_FLAGS) -Xswiftc -enable-testing
KCOMPRESS := .build/release/kcompress
VENV := .venv
PYTHON := $(VENV)/bin/python
FORMATTED := Package.swift Sources Tests Benchmarks/Measure

.PHONY: help deps build demo test bench accuracy recovery recurrent interop format lint clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

deps: ## install the C libraries that are missing (Debian)
	@if ! pkg-config --exists hdf5-serial openblas zlib libcrypto 2>/dev/null; then \
	  echo "installing libhdf5-dev, libopenblas-dev, libssl-dev, zlib1g-dev and pkg-config"; \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq \
	    libhdf5-dev libopenblas-dev libssl-dev zlib1g-dev pkg-config > /dev/null; \
	fi

build: deps ## build .build/release/kcompress
	swift build $(SWIFT_FLAGS) --product kcompress

demo: build ## plan, apply and verify a small network
	@Fixtures/demo.sh $(KCOMPRESS)

# swift test by itself would add flags of its own and compile everything once more, and tools of packages that nothing here needs.
test: deps ## run all tests, in release mode
	swift build $(TEST_FLAGS) --product kcompressPackageTests
	swift test $(TEST_FLAGS) --skip-build

# BUILT=1 takes the program that is there already: after make test that is the tests' own, and nothing is compiled twice.
interop: $(if $(BUILT),,build) $(VENV)/installed ## check that Keras, tf.keras and safetensors read what we write
	KCOMPRESS=$(KCOMPRESS) $(PYTHON) -m pytest -q Tests/Interop

bench: build $(VENV)/benchmarks ## measure speed, memory and accuracy (10 minutes)
	swift build $(SWIFT_FLAGS) --product kcompress-measure
	KCOMPRESS=$(KCOMPRESS) KCOMPRESS_MEASURE=$(KCOMPRESS)-measure $(PYTHON) Benchmarks/run.py

accuracy: build $(VENV)/benchmarks ## measure accuracy without training (hours; ARGUMENTS="--help" tells of parts)
	KCOMPRESS=$(KCOMPRESS) $(PYTHON) Benchmarks/accuracy.py $(ARGUMENTS)

recovery: build $(VENV)/benchmarks ## measure what tune recovers (hours; ARGUMENTS="--help" tells of parts)
	KCOMPRESS=$(KCOMPRESS) $(PYTHON) Benchmarks/recovery.py $(ARGUMENTS)

recurrent: build $(VENV)/benchmarks ## measure recurrent models (ARGUMENTS=speed, budget or compression; an hour)
	KCOMPRESS=$(KCOMPRESS) $(PYTHON) Benchmarks/recurrent.py $(ARGUMENTS)

$(VENV)/installed: Tests/Interop/requirements.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q --disable-pip-version-check -r $<
	touch $@

$(VENV)/benchmarks: $(VENV)/installed Benchmarks/requirements.txt
	$(PYTHON) -m pip install -q --disable-pip-version-check -r Benchmarks/requirements.txt
	touch $@

format: ## format the Swift sources
	swift format --in-place --recursive $(FORMATTED)

lint: ## check the format
	swift format lint --strict --recursive $(FORMATTED)

clean: ## remove everything that was built
	rm -rf .build $(VENV)
