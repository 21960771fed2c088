#!/usr/bin/env bash
# fuzz.sh [SECONDS]: fuzzes expressions, policies and admission reviews, SECONDS each (20 when left out).
# What is found is kept in .state/fuzz/TARGET and printed; run it alone with `fuzz.sh TARGET FILE`.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

targets=(expression policy review)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# Coverage instrumentation is a flag of the compiler that the stable one only takes this way.
export RUSTC_BOOTSTRAP=1

# No sanitizer: the workspace forbids unsafe code, and panics, endless work and unbounded memory show without one.
fuzz() { "$(tests/tools.sh cargo-fuzz)" "$1" --fuzz-dir tests/fuzz --sanitizer none "${@:2}"; }

build() { fuzz build; }

run() {
  local target=$1 seconds=$2 corpus=$state/fuzz/$1/corpus
  mkdir -p "$corpus" "$state/fuzz/$target/found"
  fuzz run "$target" "$corpus" "tests/fuzz/seeds/$target" -- -max_total_time="$seconds" -max_len=65536 -timeout=5 \
    -rss_limit_mb=1024 -malloc_limit_mb=256 -artifact_prefix="$state/fuzz/$target/found/" -print_final_stats=1
}

need_rust
need_package c++ g++
if [[ ${2:-} ]]; then
  fuzz run "$1" "$2"
  exit
fi
seconds=${1:-20}
step fuzz-build "compiling the fuzz targets" build
for target in "${targets[@]}"; do
  step "fuzz-$target" "fuzzing for ${seconds} s: $target" run "$target" "$seconds"
  say "$target: $(grep -E '^stat::(number_of_executed_units|peak_rss_mb)' "$logs/fuzz-$target.log" | tr -s ' \n' ' ')"
done
say "fuzzing found nothing in $SECONDS s"
