#!/usr/bin/env bash
# Builds and runs the benchmarks; arguments go to the program (--help lists them).
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

need_rust
need_package cc gcc
step cluster-build "building the embedded cluster and its tools" "$cluster" build
step tools "collecting the tools" tests/tools.sh cluster
step bench-build "compiling the benchmarks" cargo build --locked --profile image --bins -p tetrarch-bench \
  -p tetrarch-operator -p tetrarch-supervisor -p tetrarch-agent-sidecar
export PATH=$state/tools:$PATH TETRARCH_TOOLS=$state/tools TETRARCH_PROGRAMS=$target/image
# The controllers of the cluster make pods; no kubelet runs them, a fake node of the benchmark does as if.
CLUSTER=embedded step bench-up "starting an API server" "$cluster" up --name bench --rung3 --controllers
trap 'CLUSTER=embedded "$cluster" down --name bench >/dev/null' EXIT
KUBECONFIG=$("$cluster" kubeconfig --name bench) "$target/image/tetrarch-bench" "$@"
say "measured in $SECONDS s"
