# Every command anyone needs. Each target is one small script in tests/.
.DEFAULT_GOAL := help
.PHONY: help demo down test test-unit test-api test-cluster lint generate journals bench bench-rivals fuzz simulate faults power-cut upgrade-test

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: ## Start a cluster, install the chart, run the licence audit, print and check its report
	@tests/demo.sh

down: ## Remove the demo: cluster, processes, mounts, links, files
	@tests/down.sh

test: ## All tests, rungs 0 to 4
	@tests/run.sh unit api cluster

test-unit: ## Rungs 0 to 2: no cluster; includes the charts and the cluster's own Go tests
	@tests/run.sh unit

test-api: ## Rung 3: a real API server and a real bus
	@tests/run.sh api

test-cluster: ## Rung 4: journeys with real pods in a cluster of their own
	@tests/run.sh cluster

lint: ## Formatting, clippy, shell, crate walls, stale files, licences, chart schema
	@tests/lint.sh

generate: ## Write the CRDs and all that is derived from them or from the roles
	@tests/generate.sh

journals: ## Record journals of runs that this version has none of
	@tests/journals.sh

bench: ## Measure against a floor taken in the same run
	@tests/bench.sh

bench-rivals: ## Measure the workflow engine beside Temporal, Restate and the bare bus; builds them first
	@tests/bench.sh rivals

fuzz: ## Fuzz expressions, policies and admission reviews, ten minutes each
	@tests/fuzz.sh 600

simulate: ## Simulate the workflow engine under faults: SEEDS=50000
	@tests/simulate.sh

faults: ## Kill the bus, supervisors and sidecars under load: KILLS=200
	@tests/faults.sh kills $(or $(KILLS),200)

power-cut: ## Cut the power of the bus under load, with each setting of sync_interval
	@tests/faults.sh power-cut

upgrade-test: ## Start runs with the programs of a commit and finish them with these: FROM=<commit>
	@tests/faults.sh upgrade $(FROM)
