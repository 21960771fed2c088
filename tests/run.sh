#!/usr/bin/env bash
# run.sh RUNG...: runs the tests of the rungs unit (0-2), api (3) and cluster (4), and counts them.
# TEST_FILTER: only tests whose name contains it. KEEP_CLUSTER=1: leave the clusters of rung 3 and 4 running.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

(($# > 0)) || fail "usage: run.sh unit|api|cluster..."
declare -A title=([unit]="rung 0-2" [api]="rung 3" [cluster]="rung 4") passed=() failed=() took=()
filter=(${TEST_FILTER:+"$TEST_FILTER"})

# count RUNG LOG: adds what cargo, go and the chart checks printed.
count() {
  local sums
  sums=$(awk '
    /^test result: / { p += $4; f += $6 }
    /^--- PASS/ { p++ }
    /^--- FAIL/ { f++ }
    /^chart case .* ok$/ { p++ }
    /^chart case .* failed$/ { f++ }
    END { print p + 0, f + 0 }' "$2")
  passed[$1]=$((${passed[$1]:-0} + ${sums% *}))
  failed[$1]=$((${failed[$1]:-0} + ${sums#* }))
}

# suite RUNG LOG TITLE COMMAND...: one step whose tests are counted; a step that dies without a failed test counts as one.
suite() {
  local rung=$1 log=$2 status=0 before=${failed[$1]:-0}
  shift 2
  step "$log" "$@" || status=1
  count "$rung" "$logs/$log.log"
  ((status == 0 || ${failed[$rung]} > before)) || failed[$rung]=$((${failed[$rung]} + 1))
}

# prepare RUNG COMMAND...: a step without which the rung cannot run.
prepare() {
  local rung=$1
  shift
  step "$@" && return
  failed[$rung]=$((${failed[$rung]:-0} + 1))
  return 1
}

go_tests() { (cd tests/cluster/cluster && go test -v ./...); }

# However this ends, nothing keeps running that it started.
remove=''
leave() {
  abandon
  [[ -z $remove || -n ${KEEP_CLUSTER:-} ]] || "$cluster" down --name "$remove" >/dev/null 2>&1 || true
}

rung_unit() {
  suite unit unit-rust "rung 0-2: Rust tests without a cluster" \
    cargo test --locked --workspace --exclude tetrarch-tests --no-fail-fast -- "${filter[@]}"
  suite unit unit-journal "rung 0: the checks that the cluster tests rely on" \
    cargo test --locked -p tetrarch-tests --lib -- "${filter[@]}"
  [[ -z ${TEST_FILTER:-} ]] || return 0
  suite unit unit-charts "rung 1: rendered charts" tests/charts.sh
  suite unit unit-fuzz "rung 0: a short fuzzing of expressions, policies and admission reviews" tests/fuzz.sh 20
  suite unit unit-go "rung 0: the embedded cluster's own tests" go_tests
}

start() {
  prepare "$1" "$1-up" "starting a cluster" "$cluster" up "${@:2}"
}

rung_api() {
  # Always the embedded one: these tests install definitions and write objects that nobody reconciles.
  export CLUSTER=embedded
  remove=test-api
  start api --name test-api --rung3 || return 0
  # One at a time: they register webhooks for the whole cluster.
  KUBECONFIG=$("$cluster" kubeconfig --name test-api) suite api api-rust "rung 3: against a real API server" \
    cargo test --locked -p tetrarch-tests --test 'api_*' --no-fail-fast -- --test-threads=1 "${filter[@]}"
  [[ -n ${KEEP_CLUSTER:-} ]] || step api-down "removing the cluster" "$cluster" down --name test-api
  remove=
  unset CLUSTER
}

rung_cluster() {
  prepare cluster images-build "compiling the images" tests/images.sh build --tests || return 0
  remove="test"
  start cluster --name test || return 0
  prepare cluster gather "gathering the input of the licence audit" \
    "$state/tools/licence-agents" gather --out "$state/test-dataset" || return 0
  if [[ -z ${IMAGE_REGISTRY:-} ]]; then
    prepare cluster images-load "loading the images" \
      tests/images.sh load test --tests --dataset "$TETRARCH_AUDIT_DATASET" || return 0
  fi
  local config
  config=$("$cluster" kubeconfig --name test)
  KUBECONFIG=$config prepare cluster install "installing the charts" tests/install.sh || return 0
  KUBECONFIG=$config prepare cluster sample "applying the licence audit" \
    tests/apply.sh config/samples/licence-audit || return 0
  # Tests that kill a process inside a container ask the embedded node to do it; elsewhere they delete the pod.
  [[ $config != "$state"/* ]] || export TETRARCH_CLUSTER_NAME=test
  # One at a time: some of them kill what the others need.
  KUBECONFIG=$config suite cluster cluster-rust "rung 4: journeys with real pods" \
    cargo test --locked -p tetrarch-tests --test 'cluster_*' --no-fail-fast -- --test-threads=1 "${filter[@]}"
  # Over what all journeys did; a few of them alone use fewer rights.
  if [[ -n ${TETRARCH_CLUSTER_NAME:-} && -z ${TEST_FILTER:-} ]]; then
    KUBECONFIG=$config TETRARCH_AUDIT_LOG=$state/cluster/test/logs/audit.log suite cluster cluster-rights \
      "rung 4: the operator has the rights it uses and no others" \
      cargo test --locked -p tetrarch-tests --test rights_operator
  fi
  [[ -n ${KEEP_CLUSTER:-} ]] || step cluster-down "removing the cluster" "$cluster" down --name test
  remove=
}

need_rust
need_package cc gcc
export PATH=$state/tools:$PATH TETRARCH_TOOLS=$state/tools TETRARCH_AUDIT_DATASET=$state/test-dataset/dataset.json
# Built while the Rust tests compile, because it takes minutes the first time; `up` waits for it.
parts=(--rung3)
[[ " $* " != *" cluster "* ]] || parts=()
trap leave EXIT
begin cluster-build "$cluster" build "${parts[@]}"
packages=(-p tetrarch-tests)
[[ " $* " != *" unit "* ]] || packages=(--workspace --exclude tetrarch-tests)
step compile "compiling the tests" cargo test --locked "${packages[@]}" --no-run || say "going on with what compiles"
finish cluster-build "building the embedded cluster" || say "going on without it"
step tools "collecting helm, kubectl and nats-server" tests/tools.sh cluster "${parts[@]}"

for rung in "$@"; do
  begin=$SECONDS
  "rung_$rung"
  took[$rung]=$((SECONDS - begin))
done

all_passed=0 all_failed=0
for rung in "$@"; do
  echo "${title[$rung]}: ${passed[$rung]:-0} passed, ${failed[$rung]:-0} failed (${took[$rung]} s)"
  all_passed=$((all_passed + ${passed[$rung]:-0}))
  all_failed=$((all_failed + ${failed[$rung]:-0}))
done
echo "all rungs: $SECONDS s"
echo "$all_passed passed, $all_failed failed"
((all_failed == 0 && all_passed > 0))
