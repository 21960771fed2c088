#!/usr/bin/env bash
# Builds and runs the benchmarks: the parts named first, or engine, admission and reconcile.
# bench.sh [engine|admission|reconcile|rivals]... [OPTION]...
# Options go to the program (`bench.sh engine --help` lists them).
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

parts=()
while [[ ${1:-} =~ ^(engine|admission|reconcile|rivals)$ ]]; do
  parts+=("$1")
  shift
done
((${#parts[@]} > 0)) || parts=(engine admission reconcile)

need_rust
need_package cc gcc
need_package taskset util-linux
step cluster-build "building the embedded cluster and its tools" "$cluster" build --rung3
step tools "collecting the tools" tests/tools.sh cluster --rung3
if [[ " ${parts[*]} " == *" admission "* ]]; then
  step gatekeeper "building Gatekeeper, to measure beside it (some minutes the first time)" tests/tools.sh gatekeeper
  TETRARCH_GATEKEEPER=$(tests/tools.sh gatekeeper)
  export TETRARCH_GATEKEEPER
fi
if [[ " ${parts[*]} " == *" rivals "* ]]; then
  need_package npm npm
  step rivals "getting the rivals: Temporal and Restate (many minutes the first time)" tests/tools.sh rivals
  TETRARCH_RIVALS=$(tests/tools.sh rivals)
  export TETRARCH_RIVALS
fi
step bench-build "compiling the benchmarks" cargo build --locked --profile measure --bins -p tetrarch-bench \
  -p tetrarch-operator -p tetrarch-supervisor -p tetrarch-agent-sidecar
export PATH=$state/tools:$PATH TETRARCH_TOOLS=$state/tools TETRARCH_PROGRAMS=$target/measure

stop() { CLUSTER=embedded "$cluster" down --name bench >/dev/null; }

# api_server FLAG...: starts a fresh one and says where it is.
api_server() {
  trap stop EXIT
  CLUSTER=embedded step bench-up "starting an API server" "$cluster" up --name bench --rung3 "$@"
  KUBECONFIG=$("$cluster" kubeconfig --name bench)
  export KUBECONFIG
}

for part in "${parts[@]}"; do
  case $part in
  admission) api_server ;;
  # The controllers make pods; no kubelet runs them, a fake node of the benchmark does as if.
  reconcile) api_server --controllers ;;
  esac
  "$target/measure/tetrarch-bench" "$part" "$@"
done
say "measured in $SECONDS s"
