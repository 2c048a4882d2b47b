# The front door. Underneath are CMake presets (CMakePresets.json), which work without make as well.

JOBS ?= $(shell nproc)
.DEFAULT_GOAL := help
.PHONY: help run test build bench coverage clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Install what is missing, build, and take the tour
	@examples/tour/run build/release

build: ## Install what is missing and build a release: build/release/bin/gyre
	@scripts/setup run
	@cmake --preset release > build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS)

test: ## Install what is missing and run every test
	@scripts/setup test
	@cmake --preset debug > build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build --preset debug -j $(JOBS)
	@ctest --preset debug -j $(JOBS)

bench: ## Compare with other event loops: build/bench/report.md
	@scripts/setup bench
	@cmake --preset bench > build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build --preset bench -j $(JOBS)
	@bench/run

coverage: ## Line coverage of the libraries: build/coverage/report.txt
	@scripts/setup ci
	@cmake --preset coverage > build/configure.log || { cat build/configure.log; exit 1; }
	@cmake --build --preset coverage -j $(JOBS)
	@ctest --preset coverage -j $(JOBS)
	@scripts/coverage build/coverage

clean: ## Remove everything that was built
	rm -rf build
