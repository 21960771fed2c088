#!/usr/bin/env bash
# run.sh RUNG...: runs the tests of the rungs unit (0-2), api (3) and cluster (4), and counts them.
# TEST_FILTER: only tests whose name contains it. KEEP_CLUSTER=1: leave the clusters of rung 3 and 4 running.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

(($# > 0)) || fail "usage: run.sh unit|api|cluster..."
declare -A title=([unit]="rung 0-2" [api]="rung 3" [cluster]="rung 4")
filter=(${TEST_FILTER:+"$TEST_FILTER"})
# A file for each rung with a line for each of its suites: passed, failed. Lanes are processes and share nothing else.
counts=$logs/counts
rm -rf "$counts"
mkdir -p "$counts"

# count LOG: what cargo, go and the chart checks printed.
count() {
  awk '
    /^test result: / { p += $4; f += $6 }
    /^--- PASS/ { p++ }
    /^--- FAIL/ { f++ }
    /^chart case .* ok$/ { p++ }
    /^chart case .* failed$/ { f++ }
    /^kills: .* lost 0, duplicate effects 0, broken journals 0/ { p++ }
    END { print p + 0, f + 0 }' "$1"
}

# failures LOG: the names of the tests that failed, each with where it failed.
failures() {
  awk '
    match($0, /^---- .* stdout ----$/) { name = substr($0, 6, length($0) - 17) }
    name != "" && / panicked at / { sub(/.* panicked at /, ""); place = $0; getline; print name ": " place " " $0; name = "" }
    name != "" && /^Error: / { print name ": " $0; name = "" }
    /^(--- FAIL|chart case .* failed$)/ { print }' "$1" | tr -cd '[:print:]\n' | cut -c1-300
}

# suite RUNG LOG TITLE COMMAND...: one step whose tests are counted; a step that dies without a failed test counts as one.
suite() {
  local rung=$1 log=$2 status=0 sums
  shift 2
  step "$log" "$@" || status=1
  sums=$(count "$logs/$log.log")
  ((status == 0)) || [[ $sums != *" 0" ]] || sums="${sums% *} 1"
  echo "$sums" >>"$counts/$rung"
  [[ $sums == *" 0" ]] || {
    echo "${title[$rung]}: $1 ($log.log)"
    failures "$logs/$log.log"
  } >>"$counts/failed"
}

# prepare RUNG COMMAND...: a step without which the rung cannot run.
prepare() {
  local rung=$1
  shift
  step "$@" && return
  echo "0 1" >>"$counts/$rung"
  echo "${title[$rung]}: $2 ($1.log)" >>"$counts/failed"
  return 1
}

# lane RUNG COMMAND...: a part of a rung beside the others. Most of a test's time is waiting.
lanes=()
lane() {
  (
    started_pid=() started_at=()
    trap leave EXIT
    begin=$SECONDS
    "${@:2}"
    echo "$((SECONDS - begin))" >>"$counts/$1.took"
  ) &
  lanes+=($!)
}

go_tests() { (cd tests/cluster/cluster && go test -v ./...); }

# However this ends, nothing keeps running that it started.
remove=''
leave() {
  # The lanes too: `begin` sets traps of its own, so that an interrupt may come here without having met them.
  local running
  mapfile -t running <<<"$(jobs -rp)"
  kill "${running[@]}" 2>/dev/null || true
  abandon
  [[ -z $remove || -n ${KEEP_CLUSTER:-} ]] || "$cluster" down --name "$remove" >/dev/null 2>&1 || true
}

# Most of its time it waits for tasks of sidecars that are dead.
unit_faults() { suite unit unit-faults "rung 2: the bus, supervisors and sidecars are killed under load" tests/faults.sh short; }

rung_unit() {
  [[ -n ${TEST_FILTER:-} ]] || lane unit unit_faults
  suite unit unit-rust "rung 0-2: Rust tests without a cluster" \
    cargo test --locked --workspace --exclude tetrarch-tests --no-fail-fast -- "${filter[@]}"
  suite unit unit-journal "rung 0: the checks that the cluster tests rely on" \
    cargo test --locked -p tetrarch-tests --lib -- "${filter[@]}"
  [[ -z ${TEST_FILTER:-} ]] || return 0
  suite unit unit-charts "rung 1: rendered charts" tests/charts.sh
  suite unit unit-fuzz "rung 0: a short fuzzing of expressions, policies and admission reviews" tests/fuzz.sh 20
  suite unit unit-go "rung 0: the embedded cluster's own tests" go_tests
}

# api_tests NAME LOG TITLE TARGET...: a control plane of its own, always the embedded one: these tests install definitions
# and webhooks for the whole cluster and write objects that nobody reconciles. So they also run one at a time.
api_tests() {
  local name=$1 log=$2 about=$3
  shift 3
  export CLUSTER=embedded
  remove=$name
  prepare api "$log-up" "rung 3: starting a control plane" "$cluster" up --name "$name" --rung3 || return 0
  KUBECONFIG=$("$cluster" kubeconfig --name "$name") suite api "$log" "$about" \
    cargo test --locked --workspace "${@/#/--test=}" --no-fail-fast -- --test-threads=1 "${filter[@]}"
  [[ -n ${KEEP_CLUSTER:-} ]] || step "$log-down" "rung 3: removing the control plane" "$cluster" down --name "$name"
  remove=
}

# Two halves of about the same length, each with a control plane.
rung_api() {
  local tests second=(api_governance api_renewal api_webhook)
  mapfile -t tests < <(cd tests/tests && printf '%s\n' api_* | sed 's/\.rs$//' | grep -vxF "$(printf '%s\n' "${second[@]}")")
  lane api api_tests test-api-2 api-rust-2 "rung 3: the webhook: governance, renewal of certificates, death" "${second[@]}"
  api_tests test-api api-rust "rung 3: admission, capacity, schemas" "${tests[@]}"
}

rung_cluster() {
  # The tests that run meanwhile come first: some of them have to keep up with a bus.
  prepare cluster images-build "rung 4: compiling the images" nice -n 10 tests/images.sh build --tests || return 0
  remove="test"
  prepare cluster cluster-up "rung 4: starting a cluster" "$cluster" up --name test || return 0
  prepare cluster gather "rung 4: gathering the input of the licence audit" \
    "$state/tools/licence-agents" gather --out "$state/test-dataset" || return 0
  if [[ -z ${IMAGE_REGISTRY:-} ]]; then
    prepare cluster images-load "rung 4: loading the images" \
      tests/images.sh load test --tests --dataset "$TETRARCH_AUDIT_DATASET" || return 0
  fi
  local config
  config=$("$cluster" kubeconfig --name test)
  KUBECONFIG=$config prepare cluster install "rung 4: installing the charts" tests/install.sh || return 0
  KUBECONFIG=$config prepare cluster sample "rung 4: applying the licence audit" \
    tests/apply.sh config/samples/licence-audit || return 0
  # Tests that kill a process inside a container ask the embedded node to do it; elsewhere they delete the pod.
  [[ $config != "$state"/* ]] || export TETRARCH_CLUSTER_NAME=test
  # One at a time: some of them kill what the others need.
  KUBECONFIG=$config suite cluster cluster-rust "rung 4: journeys with real pods" \
    cargo test --locked --workspace --test 'cluster_*' --no-fail-fast -- --test-threads=1 "${filter[@]}"
  # Over what all journeys did; a few of them alone use fewer rights.
  if [[ -n ${TETRARCH_CLUSTER_NAME:-} && -z ${TEST_FILTER:-} ]]; then
    KUBECONFIG=$config TETRARCH_AUDIT_LOG=$state/cluster/test/logs/audit.log suite cluster cluster-rights \
      "rung 4: the operator has the rights it uses and no others" \
      cargo test --locked --workspace --test rights_operator
  fi
  [[ -n ${KEEP_CLUSTER:-} ]] || step cluster-down "rung 4: removing the cluster" "$cluster" down --name test
  remove=
}

need_disk 20
need_rust
need_package cc gcc
export PATH=$state/tools:$PATH TETRARCH_TOOLS=$state/tools TETRARCH_AUDIT_DATASET=$state/test-dataset/dataset.json
# Built while the Rust tests compile, because it takes minutes the first time; `up` waits for it.
parts=(--rung3)
[[ " $* " != *" cluster "* ]] || parts=()
trap leave EXIT
begin cluster-build "$cluster" build "${parts[@]}"
[[ " $* " != *" unit "* ]] || step compile "compiling the tests of the crates" \
  cargo test --locked --workspace --exclude tetrarch-tests --no-run || say "going on with what compiles"
step compile-tests "compiling the tests of the whole" \
  cargo test --locked --workspace --test 'api_*' --test 'cluster_*' --test rights_operator --no-run || say "going on with what compiles"
finish cluster-build "building the embedded cluster" || say "going on without it"
step tools "collecting helm, kubectl and nats-server" tests/tools.sh cluster "${parts[@]}"

# The cluster's journeys beside everything else: they wait more than they work.
trap 'kill "${lanes[@]}" 2>/dev/null; wait; exit 130' INT TERM
for rung in "$@"; do
  [[ $rung != cluster ]] || lane cluster rung_cluster
done
for rung in "$@"; do
  if [[ $rung != cluster ]]; then
    begin=$SECONDS
    "rung_$rung"
    echo "$((SECONDS - begin))" >>"$counts/$rung.took"
  fi
done
# The id of one that ended long ago may be another process's by now, of which bash complains.
wait "${lanes[@]}" 2>/dev/null || true

all_passed=0 all_failed=0
for rung in "$@"; do
  touch "$counts/$rung" "$counts/$rung.took"
  read -r passed failed < <(awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }' "$counts/$rung")
  echo "${title[$rung]}: $passed passed, $failed failed ($(sort -n "$counts/$rung.took" | tail -n 1) s)"
  all_passed=$((all_passed + passed))
  all_failed=$((all_failed + failed))
  # A lane that died has told nothing.
  ((passed + failed > 0)) || all_failed=$((all_failed + 1))
done
if [[ -s $counts/failed ]]; then
  echo "what failed:"
  tail -n 30 "$counts/failed"
fi
echo "all rungs: $SECONDS s"
echo "$all_passed passed, $all_failed failed"
((all_failed == 0 && all_passed > 0))
